# SPDX-License-Identifier: GPL-3.0-or-later
#
# prompts.awk - writes a trace of prompts with text, for scenarios/policies/parts.yaml:
#
#   awk -v prompts=1000 -v seed=1 -f scenarios/policies/prompts.awk >prompts.jsonl
#
# Thirty applications, chosen by Zipf's law (s = 1). Each has instructions of its own, 800 to 8,000 letters; behind
# them one of twelve documents of 400 to 6,000 letters, by the same law; behind that a question that nobody asked
# before, 80 to 1,200 letters. A third of the prompts go on with one of the last 200 instead: all of it, an
# answer of 100 to 1,500 letters, another question. Nothing is aligned to blocks, and no length was chosen for an outcome.
#
# The numbers are drawn here (Park and Miller, CACM 31, 1988), so that every awk writes the same bytes.

function draw(n) { state = state * 16807 % 2147483647; return state % n }

function zipf(n,    i, x) {
    x = draw(1000000) / 1000000 * harmonic[n]
    for (i = 1; i < n && harmonic[i] < x; i++) {}
    return i
}

function text(letters,    s, word, k) {
    s = ""
    while (length(s) < letters) {
        word = ""
        for (k = 1 + draw(3); k > 0; k--)
            word = word substr("bdfgklmnprstvz", 1 + draw(14), 1) substr("aeiou", 1 + draw(5), 1)
        s = s word " "
    }
    return s
}

BEGIN {
    state = seed ? seed : 1
    if (!prompts) prompts = 1000
    for (i = 1; i <= 30; i++) harmonic[i] = harmonic[i - 1] + 1 / i
    for (a = 1; a <= 30; a++) {
        rules[a] = text(800 + draw(7200))
        for (d = 1; d <= 12; d++) document[a, d] = text(400 + draw(5600))
    }
    for (p = 0; p < prompts; p++) {
        at += draw(2000)
        if (p > 20 && draw(3) == 0) {
            back = p - 1 - draw(p < 200 ? p : 200)
            all[p] = all[back] text(100 + draw(1400)) text(80 + draw(1120))
        } else {
            a = zipf(30)
            all[p] = rules[a] document[a, zipf(12)] text(80 + draw(1120))
        }
        delete all[p - 201]
        printf "{\"timestamp\": %d, \"output_length\": %d, \"text\": \"%s\"}\n", at, 20 + draw(300), all[p]
    }
}
