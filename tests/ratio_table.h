/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ratio_table.h - pairs of strings (UTF-8) and difflib.SequenceMatcher(None, a, b).ratio() of Python
 * 3.11, exactly: edge cases, repetitions, other scripts, prose with small changes, and lengths on both
 * sides of the 200 elements from which on popular ones are left out.
 */
#ifndef RATIO_TABLE_H
#define RATIO_TABLE_H

/* clang-format off */
static const struct {
    const char *a, *b;
    double ratio;
} ratio_table[] = {
    {"Compare Next.js vs Remix",
     "Compare Next.js vs Remix for a marketing site",
     0x1.642c8590b2164p-1},
    {"Compare Next.js vs Remix for a marketing site",
     "Compare Next.js vs Remix",
     0x1.642c8590b2164p-1},
    {"Compare Next.js vs Remix",
     "Compare Remix vs Next.js",
     0x1.4000000000000p-1},
    {"Compare Remix vs Next.js",
     "Compare Next.js vs Remix",
     0x1.4000000000000p-1},
    {"Compare Next.js vs Remix",
     "Comparing web frameworks",
     0x1.aaaaaaaaaaaabp-2},
    {"Comparing web frameworks",
     "Compare Next.js vs Remix",
     0x1.2aaaaaaaaaaabp-2},
    {"",
     "",
     0x1.0000000000000p+0},
    {"",
     "a",
     0x0.0p+0},
    {"a",
     "",
     0x0.0p+0},
    {"a",
     "a",
     0x1.0000000000000p+0},
    {"a",
     "b",
     0x0.0p+0},
    {"ab",
     "ba",
     0x1.0000000000000p-1},
    {"abcd",
     "bcde",
     0x1.8000000000000p-1},
    {"private Thread currentThread;",
     "private volatile Thread currentThread;",
     0x1.bb39503d22635p-1},
    {"qabxcd",
     "abycdf",
     0x1.5555555555555p-1},
    {"abxcd",
     "abcd",
     0x1.c71c71c71c71cp-1},
    {"tide",
     "diet",
     0x1.0000000000000p-2},
    {"diet",
     "tide",
     0x1.0000000000000p-1},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     0x1.ec0d4c77b0353p-1},
    {"abababababababababababababababababababababababababababababab",
     "bababababababababababababababababababababababababa",
     0x1.d1745d1745d17p-1},
    {"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
     "acbacbacbacbacbacbacbacbacbacbacbacbacbacbacbacbacbacbacbacb",
     0x1.0888888888889p-1},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     0x1.0000000000000p+0},
    {"baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
     0x1.05197f7d73404p-8},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaa",
     0x1.0000000000000p+0},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     0x1.0000000000000p+0},
    {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
     "yyyyyyyyyyyyyyyyyyyyyyyyyyyy",
     "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
     "yyyyyyyyyyyyyyxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
     0x0.0p+0},
    {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
     "yyyyyyyyyyyyyyyyyyyyyyyyyyy",
     "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
     "yyyyyyyyyyyyyxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxx",
     0x1.0149539e3b2d0p-1},
    {"Gr\303\274\303\237e aus K\303\266ln, \346\235\261\344\272\254 und \360\237\232\200",
     "Gruesse aus Koeln, \344\272\254\351\203\275 und \360\237\232\200\360\237\232\200",
     0x1.89d89d89d89d9p-1},
    {"\316\221\316\222\316\223\316\261\316\262\316\263",
     "\316\261\316\262\316\263\316\221\316\222\316\223",
     0x1.0000000000000p-1},
    {"\346\227\245\346\234\254\350\252\236\343\201\256\343\203\206\343\202\255\343\202\271"
     "\343\203\210",
     "\346\227\245\346\234\254\343\201\256\343\203\206\343\202\271\343\203\210",
     0x1.b6db6db6db6dbp-1},
    {"noon else of request else someone blocks the before tokens the that that holds blocks "
     "of the what before matches",
     "noon else of request else someone the before tokens the someone that holds blocks of t"
     "he what before matches",
     0x1.d61bed61bed62p-1},
    {"noon else of request else someone the before tokens the someone that holds blocks of t"
     "he what before matches",
     "noon else of request else someone blocks the before tokens the that that holds blocks "
     "of the what before matches",
     0x1.d61bed61bed62p-1},
    {"noon else of request else someone blocks the before tokens the that that holds blocks "
     "of the what before matches",
     "else the the that holds someone was what prefix holds and before a cache and blocks ho"
     "lds and request at",
     0x1.97b425ed097b4p-2},
    {"finds finds at request tokens by blocks the request at a a before a cache the someone "
     "by finds request of at someone the by noon matches of someone request asked that token"
     "s tokens prefix at blocks at of before",
     "finds finds at request tokens blocks blocks by request at a before a cache the someone"
     " by finds request of at the by noon matches of someone request asked that tokens token"
     "s and at blocks at of before",
     0x1.8f9c18f9c18fap-3},
    {"finds finds at request tokens blocks blocks by request at a before a cache the someone"
     " by finds request of at the by noon matches of someone request asked that tokens token"
     "s and at blocks at of before",
     "finds finds at request tokens by blocks the request at a a before a cache the someone "
     "by finds request of at someone the by noon matches of someone request asked that token"
     "s tokens prefix at blocks at of before",
     0x1.b7921b7921b79p-3},
    {"finds finds at request tokens by blocks the request at a a before a cache the someone "
     "by finds request of at someone the by noon matches of someone request asked that token"
     "s tokens prefix at blocks at of before",
     "finds the someone the else noon prefix matches was noon cache else tokens blocks match"
     "es asked the the holds before noon blocks holds the request someone holds else finds e"
     "lse cache the and a was was at the tokens the",
     0x1.cc70b641f2cf7p-4},
    {"else noon was of finds of that request blocks prefix blocks and a and a blocks finds o"
     "f asked prefix of someone holds matches what the tokens and someone finds prefix block"
     "s finds and longest by finds of else noon blocks the request cache prefix longest noon"
     " finds prefix matches blocks holds before what and the at noon was holds",
     "tokens else and was of finds of that request blocks prefix blocks and by a and a block"
     "s finds asked prefix of someone holds matches what the tokens and someone finds prefix"
     " blocks finds and longest by finds of else the noon blocks the cache prefix longest no"
     "on finds prefix matches blocks holds before blocks what and the at noon was holds",
     0x1.a4ed3fe7827ccp-1},
    {"tokens else and was of finds of that request blocks prefix blocks and by a and a block"
     "s finds asked prefix of someone holds matches what the tokens and someone finds prefix"
     " blocks finds and longest by finds of else the noon blocks the cache prefix longest no"
     "on finds prefix matches blocks holds before blocks what and the at noon was holds",
     "else noon was of finds of that request blocks prefix blocks and a and a blocks finds o"
     "f asked prefix of someone holds matches what the tokens and someone finds prefix block"
     "s finds and longest by finds of else noon blocks the request cache prefix longest noon"
     " finds prefix matches blocks holds before what and the at noon was holds",
     0x1.9a36567b377c6p-3},
    {"else noon was of finds of that request blocks prefix blocks and a and a blocks finds o"
     "f asked prefix of someone holds matches what the tokens and someone finds prefix block"
     "s finds and longest by finds of else noon blocks the request cache prefix longest noon"
     " finds prefix matches blocks holds before what and the at noon was holds",
     "by holds before longest finds matches cache someone of by prefix asked prefix prefix r"
     "equest the matches holds before what the a and finds matches the prefix and by cache l"
     "ongest of holds noon longest the blocks what a asked of finds noon the of else longest"
     " longest was of the a that was matches a prefix prefix at asked",
     0x1.c5038a07140e3p-5},
    {"at finds was by someone at finds by holds someone what request longest noon of matches"
     " else noon a what of longest the someone asked of someone noon at noon else else asked"
     " blocks noon request someone cache was and longest prefix and asked was at finds what "
     "someone tokens of of request the before else holds tokens the request a else the holds"
     " of request request blocks of finds holds what cache was cache what what prefix at was"
     " noon else blocks someone of at finds was asked that tokens matches matches else was w"
     "hat of tokens and and finds blocks and matches prefix matches holds finds someone aske"
     "d blocks and noon and noon finds and was finds that",
     "at finds was by someone at finds by holds someone what request noon of matches else wa"
     "s noon a what longest the by asked of someone noon at noon else else asked blocks noon"
     " request someone cache was and longest prefix and asked prefix at finds what someone t"
     "okens of of request the before else holds the request a else the holds of request requ"
     "est cache of and holds what cache cache longest what what prefix at was noon else bloc"
     "ks someone of at finds was asked that tokens matches matches else was what of tokens a"
     "nd and finds blocks and matches prefix matches holds finds else someone asked request "
     "and noon and noon finds and was finds that",
     0x1.efd0a10f97c8cp-2},
    {"at finds was by someone at finds by holds someone what request noon of matches else wa"
     "s noon a what longest the by asked of someone noon at noon else else asked blocks noon"
     " request someone cache was and longest prefix and asked prefix at finds what someone t"
     "okens of of request the before else holds the request a else the holds of request requ"
     "est cache of and holds what cache cache longest what what prefix at was noon else bloc"
     "ks someone of at finds was asked that tokens matches matches else was what of tokens a"
     "nd and finds blocks and matches prefix matches holds finds else someone asked request "
     "and noon and noon finds and was finds that",
     "at finds was by someone at finds by holds someone what request longest noon of matches"
     " else noon a what of longest the someone asked of someone noon at noon else else asked"
     " blocks noon request someone cache was and longest prefix and asked was at finds what "
     "someone tokens of of request the before else holds tokens the request a else the holds"
     " of request request blocks of finds holds what cache was cache what what prefix at was"
     " noon else blocks someone of at finds was asked that tokens matches matches else was w"
     "hat of tokens and and finds blocks and matches prefix matches holds finds someone aske"
     "d blocks and noon and noon finds and was finds that",
     0x1.7d55dc13bce43p-1},
    {"at finds was by someone at finds by holds someone what request longest noon of matches"
     " else noon a what of longest the someone asked of someone noon at noon else else asked"
     " blocks noon request someone cache was and longest prefix and asked was at finds what "
     "someone tokens of of request the before else holds tokens the request a else the holds"
     " of request request blocks of finds holds what cache was cache what what prefix at was"
     " noon else blocks someone of at finds was asked that tokens matches matches else was w"
     "hat of tokens and and finds blocks and matches prefix matches holds finds someone aske"
     "d blocks and noon and noon finds and was finds that",
     "that at cache at else tokens tokens blocks what at by before noon someone finds tokens"
     " a request a blocks blocks asked at asked before matches that the a asked noon tokens "
     "was cache matches holds was the finds the request longest request finds asked prefix s"
     "omeone else holds else longest the cache before noon tokens tokens a someone holds noo"
     "n matches that cache the by and prefix asked asked matches holds finds matches at else"
     " was finds the blocks matches and of by someone blocks noon cache longest tokens else "
     "and tokens a finds the blocks cache a that was someone by prefix else request by the s"
     "omeone by asked of the cache the holds was was was what",
     0x1.2c2a35ef95b11p-4},
    {"aaabaabaabbaaaaaabbbabababbbbb",
     "aaaaabbbbbabaababaaababbabaaaa",
     0x1.1111111111111p-1},
    {"aaabaabaabbaaaaaabbbabababbbbb",
     "aaaaabbbbbabaabbaaaaaabbbabababbbbb",
     0x1.c8dc8dc8dc8ddp-1},
    {"bdbccaaabcdddaadabbbbbbcabcdcddacacbcbbabcbaaabaddcbadbcccbc",
     "ddabbbddcbddaabdbadcaadabaababdacbcccbbdacabdcdcca",
     0x1.86fb586fb5870p-2},
    {"bdbccaaabcdddaadabbbbbbcabcdcddacacbcbbabcbaaabaddcbadbcccbc",
     "ddabbbddcbddaabdbadcaadabbbbcabcdcddacacbcbbabcbaaabaddcbadbcccbc",
     0x1.999999999999ap-1},
    {"bghcecbcacdbadbfdahdcgbhedafgbghggbddfbadaafcgfadceehebfbdhdeadgbdbhghgdcbcghahdbgfbbf"
     "cdaadcabcehgechccadbfhhfaffgbahcbhcdfgdcfacefebdghaaahfdgbhfdhbg",
     "bbcggceceefcgffeddfbaehcfhdfedfehbcebedhbehcgbaaeecacfaeaeghaacaccagebdacabeecbegbdbbc"
     "aggaagfgccaefaehheedbbcebdeheedbeaebechegbbfhdbchefbegdhgfegafhcfahhhhhhffeabfabhfchcc"
     "cbaheeeeccdhfcbhggdgaaegfab",
     0x1.3ce1eceda971bp-2},
    {"bghcecbcacdbadbfdahdcgbhedafgbghggbddfbadaafcgfadceehebfbdhdeadgbdbhghgdcbcghahdbgfbbf"
     "cdaadcabcehgechccadbfhhfaffgbahcbhcdfgdcfacefebdghaaahfdgbhfdhbg",
     "bbcggceceefcgffeddfbaehcfhdfedfehbcebedhbehcgbaaeecacfaeaeghaacaccagebdacabeecbegbdbbc"
     "aggaagfgccaefeehebfbdhdeadgbdbhghgdcbcghahdbgfbbfcdaadcabcehgechccadbfhhfaffgbahcbhcdf"
     "gdcfacefebdghaaahfdgbhfdhbg",
     0x1.63069a0a44f38p-1},
    {"hcbheefdajjadfbahfcaidhhgabehgibiedfdhbefegegihifafbbhgjjfcifgeeghgjdaagajeiajicbidcah"
     "bacficjdaieheagbhicgficbffiefhjehdghgebbacibfgjfabdgcgbecefbdejdidighjihggachbadddjgdc"
     "jicdgbjdeadbehcfcgcajafjhfc",
     "hbgfabjbeijibeddeaadcdiegdigfgccebbijfabbggebaiihjegiccccdhheggahbgbbiiadddgfagadjhfde"
     "afdcedahfhgifdjgejgfbeicecgcbijjjjdciefffajjcghcbjcegigfjifbjacffjfddgdjideaidgbbaggei"
     "cegbhcghhdebecehaiidecbacafe",
     0x1.4880522014880p-8},
    {"hcbheefdajjadfbahfcaidhhgabehgibiedfdhbefegegihifafbbhgjjfcifgeeghgjdaagajeiajicbidcah"
     "bacficjdaieheagbhicgficbffiefhjehdghgebbacibfgjfabdgcgbecefbdejdidighjihggachbadddjgdc"
     "jicdgbjdeadbehcfcgcajafjhfc",
     "hbgfabjbeijibeddeaadcdiegdigfgccebbijfabbggebaiihjegiccccdhheggahbgbbiiadddgfagadjhfde"
     "afdcedahfhgifdgjdaagajeiajicbidcahbacficjdaieheagbhicgficbffiefhjehdghgebbacibfgjfabdg"
     "cgbecefbdejdidighjihggachbadddjgdcjicdgbjdeadbehcfcgcajafjhfc",
     0x1.2f684bda12f68p-8},
    {"b4nqk42lxbob6bqdpbrcthifj46o814h48edonnnc9yg5q9my41gwyla70uwrpyu0od9wkdug6bvh3bu5r3x9u"
     "1s6r3nshhl4263qib7uahetx0vtmh5jpl030setmbokk5f7t5ffuafjjn2y4p552lha307p3655h9ljj5n2dr5"
     "oogwh5ugbkia1j9jtbbletjrbgerpk1by2ojea8l91in8rw7",
     "hdfx6iwtskqonj5j17uce8zwrvkmi6dirspl4ss0mfwzadijsl63mugg0hy23e1m3uh80dm1izr7zcsqew5qh8"
     "0sk04cly5a7ebb90fujoyaxg3215ros1pra7xu1l3e5aphvat8af6kuky9bmlg7lla2j1jucza0pwqilv36ecg"
     "aiu05vg34r7u5eorbtk3arfvq6sa5mkthu8dwkfsomcuc3ddqq2jbb6uh1",
     0x1.23456789abcdfp-6},
    {"b4nqk42lxbob6bqdpbrcthifj46o814h48edonnnc9yg5q9my41gwyla70uwrpyu0od9wkdug6bvh3bu5r3x9u"
     "1s6r3nshhl4263qib7uahetx0vtmh5jpl030setmbokk5f7t5ffuafjjn2y4p552lha307p3655h9ljj5n2dr5"
     "oogwh5ugbkia1j9jtbbletjrbgerpk1by2ojea8l91in8rw7",
     "hdfx6iwtskqonj5j17uce8zwrvkmi6dirspl4ss0mfwzadijsl63mugg0hy23e1m3uh80dm1izr7zcsqew5qh8"
     "0sk04cly5a7ebb90fujoyaxg3215r6bvh3bu5r3x9u1s6r3nshhl4263qib7uahetx0vtmh5jpl030setmbokk"
     "5f7t5ffuafjjn2y4p552lha307p3655h9ljj5n2dr5oogwh5ugbkia1j9jtbbletjrbgerpk1by2ojea8l91in"
     "8rw7",
     0x1.3c8c373c8c374p-1},
    {"t\316\277d\317\202\316\276q\316\272\316\275ose\316\264pnlz\317\207zl\317\203x\316\263"
     "\317\205u\316\272\317\207\316\271\316\267\316\276\316\262\317\207\316\264w\316\270\316"
     "\270c\317\204jgfsh\316\277n\316\264sq\316\277\317\204\316\264\316\262\317\202\316\274"
     "\317\210v\316\264r\317\202\316\275t\316\275n\317\201\316\265ng\316\274n\316\277rr\317"
     "\202\317\207\317\205\316\277m\317\201er\317\202\317\204iv\316\261us\316\267yn\316\263"
     "\317\204\317\204\316\277k\316\274\316\275\316\275\316\270d\317\200v\316\276tat\316\270"
     "\316\273z\316\271a\316\273\316\265a\317\203a\316\275\317\203\317\210u\316\273gf\317"
     "\201\317\202h\316\271a\316\276a\316\272\317\200r\316\273\316\264\316\270\316\277\316"
     "\267c\316\261otr\317\202\316\276\316\270\317\203\316\261z\316\277\316\267u\316\267hr"
     "\317\207\316\274\316\267\316\262qekp\317\210\316\276\316\267v\316\275k\317\205do\316"
     "\276plcnb\316\272\317\203\317\200gvlb\317\210\317\206f\317\203gg\317\206xm\316\272is"
     "\316\262sw\317\201\316\272\317\202t\316\261\316\265s\316\263nl\316\264ayof\317\205o"
     "\317\201x\316\273\317\206oclwc\317\205i\317\201cqkf\317\204\316\272\316\272e\316\261"
     "\316\271\317\201\316\270a\316\272\316\264p\317\201no\316\270i\317\207w\316\264\316\261"
     "qu\316\262\316\262n\317\205\316\274",
     "wjmr\316\273jgh\317\206yy\317\205\316\274\316\270q\317\202vym\317\206hem\317\204\316"
     "\261\316\273\316\271\317\202\316\266f\316\262v\316\275\316\272\316\264r\316\262\317"
     "\201h\316\271\316\265hr\316\267\317\207\316\263j\316\264\317\210\317\202\316\265ig\316"
     "\275qwslp\316\265p\316\277ef\316\263lv\316\266\316\273ja\316\275\316\273z\316\262\316"
     "\261kn\317\210o\317\206aw\316\264\316\275\316\270\316\262uo\317\205pdl\316\274vyrgd"
     "\316\272s\316\265c\317\203\317\201\317\201\316\265\317\202\317\207\317\206\316\262\316"
     "\273\316\261t\316\272\316\261d\316\271xr\317\201e\317\206\316\261g\317\200ln\316\262l"
     "\316\265g\316\263\316\270\317\205\316\261\316\277\316\276g\317\202a\316\271bue\316\261"
     "s\317\205e\317\210\316\266\316\264\316\273ejtnffm\316\265\316\273rm\316\275yynn\316"
     "\275\316\264lf\316\277\317\202r\316\261\316\270j\316\262\317\210\317\202\317\204emcrl"
     "\317\206\317\203kot\316\273w\316\276k\316\262n\316\274ag\316\262\316\272\316\271d\316"
     "\276\316\261\316\266r",
     0x1.7f748fcbb5ec6p-5},
    {"t\316\277d\317\202\316\276q\316\272\316\275ose\316\264pnlz\317\207zl\317\203x\316\263"
     "\317\205u\316\272\317\207\316\271\316\267\316\276\316\262\317\207\316\264w\316\270\316"
     "\270c\317\204jgfsh\316\277n\316\264sq\316\277\317\204\316\264\316\262\317\202\316\274"
     "\317\210v\316\264r\317\202\316\275t\316\275n\317\201\316\265ng\316\274n\316\277rr\317"
     "\202\317\207\317\205\316\277m\317\201er\317\202\317\204iv\316\261us\316\267yn\316\263"
     "\317\204\317\204\316\277k\316\274\316\275\316\275\316\270d\317\200v\316\276tat\316\270"
     "\316\273z\316\271a\316\273\316\265a\317\203a\316\275\317\203\317\210u\316\273gf\317"
     "\201\317\202h\316\271a\316\276a\316\272\317\200r\316\273\316\264\316\270\316\277\316"
     "\267c\316\261otr\317\202\316\276\316\270\317\203\316\261z\316\277\316\267u\316\267hr"
     "\317\207\316\274\316\267\316\262qekp\317\210\316\276\316\267v\316\275k\317\205do\316"
     "\276plcnb\316\272\317\203\317\200gvlb\317\210\317\206f\317\203gg\317\206xm\316\272is"
     "\316\262sw\317\201\316\272\317\202t\316\261\316\265s\316\263nl\316\264ayof\317\205o"
     "\317\201x\316\273\317\206oclwc\317\205i\317\201cqkf\317\204\316\272\316\272e\316\261"
     "\316\271\317\201\316\270a\316\272\316\264p\317\201no\316\270i\317\207w\316\264\316\261"
     "qu\316\262\316\262n\317\205\316\274",
     "wjmr\316\273jgh\317\206yy\317\205\316\274\316\270q\317\202vym\317\206hem\317\204\316"
     "\261\316\273\316\271\317\202\316\266f\316\262v\316\275\316\272\316\264r\316\262\317"
     "\201h\316\271\316\265hr\316\267\317\207\316\263j\316\264\317\210\317\202\316\265ig\316"
     "\275qwslp\316\265p\316\277ef\316\263lv\316\266\316\273ja\316\275\316\273z\316\262\316"
     "\261kn\317\210o\317\206aw\316\264\316\275\316\270\316\262uo\317\205pdl\316\274vyrgd"
     "\316\272s\316\265c\317\203\317\201\316\267yn\316\263\317\204\317\204\316\277k\316\274"
     "\316\275\316\275\316\270d\317\200v\316\276tat\316\270\316\273z\316\271a\316\273\316"
     "\265a\317\203a\316\275\317\203\317\210u\316\273gf\317\201\317\202h\316\271a\316\276a"
     "\316\272\317\200r\316\273\316\264\316\270\316\277\316\267c\316\261otr\317\202\316\276"
     "\316\270\317\203\316\261z\316\277\316\267u\316\267hr\317\207\316\274\316\267\316\262qe"
     "kp\317\210\316\276\316\267v\316\275k\317\205do\316\276plcnb\316\272\317\203\317\200gvl"
     "b\317\210\317\206f\317\203gg\317\206xm\316\272is\316\262sw\317\201\316\272\317\202t"
     "\316\261\316\265s\316\263nl\316\264ayof\317\205o\317\201x\316\273\317\206oclwc\317\205"
     "i\317\201cqkf\317\204\316\272\316\272e\316\261\316\271\317\201\316\270a\316\272\316"
     "\264p\317\201no\316\270i\317\207w\316\264\316\261qu\316\262\316\262n\317\205\316\274",
     0x1.e65a3dbe74d6bp-7},
    {"\305\234\304\252\306\212\305\231\304\241\305\200\304\217\304\231\305\221\304\202\304"
     "\234\305\267\304\272\304\240\304\247\304\200\305\240\304\215\305\274\305\264\305\221"
     "\304\273\305\260\305\204\304\232\305\204\305\223\304\245\304\230\305\203\304\222\306"
     "\225\304\210\305\272\304\245\305\223\304\217\305\205\304\213\304\217\304\207\305\262"
     "\305\240\305\216\304\221\304\217\305\225\304\262\306\207\305\211\305\275\304\244\305"
     "\271\305\225\305\255\304\216\306\205\305\217\306\204\305\244\305\202\304\236\304\241"
     "\305\277\305\247\305\256\305\250\305\213\305\277\304\220\306\200\305\211\305\272\305"
     "\277\305\240\304\274\305\217\305\230\306\201\305\211\304\237\306\204\304\206\305\244"
     "\306\207\305\250\306\224\304\271\305\212\305\257\304\274\305\212\304\245\305\215\305"
     "\230\304\256\305\222\304\233\305\201\304\217\305\227\304\230\304\223\305\274\304\210"
     "\306\201\305\256\305\265\304\236\304\261\305\247\304\211\306\222\304\270\306\206\305"
     "\240\304\202\305\225\304\210\305\203\304\253\304\273\304\246\304\271\304\240\305\223"
     "\306\220\306\207\304\212\305\244\304\203\305\271\304\217\306\203\304\207\306\204\304"
     "\277\305\225\304\242\306\202\306\224\305\243\305\266\306\214\304\274\305\245\304\233"
     "\305\255\304\235\305\221\305\211\306\216\306\203\305\266\304\227\304\245\304\245\306"
     "\213\304\263\305\220\304\270\305\241\305\213\305\222\304\277\304\205\305\267\305\263"
     "\305\257\306\225\305\223\304\270\304\273\305\227\304\215\305\233\305\221\305\223\306"
     "\203\306\205\306\214\304\276\304\271\304\214\306\220\305\262\305\220\305\257\304\230"
     "\304\263\304\231\304\266\304\221\305\232\304\216\305\227\304\247\304\244\305\245\304"
     "\203\305\245\305\277\304\216\304\211\305\263\305\240\305\266\305\204\304\217\306\216"
     "\304\273\305\205\305\201\305\244\305\227\304\206\304\204\304\226\304\213\305\211\305"
     "\257\304\226\305\247\306\220\305\246\305\272\305\244\305\241\305\212\305\206\305\267"
     "\305\264\304\243\304\225\304\213\304\220\306\225\306\216\305\240\304\275\304\253\305"
     "\213\304\261\306\206\305\247\304\252\306\201\305\236\304\263\304\232\304\221\306\203"
     "\305\245\305\236\305\226\304\230\306\204\304\221\306\225\304\232\304\261\305\252\305"
     "\251\304\230\304\202\304\243\305\262\305\256\304\203\304\261\304\207\304\214\305\264"
     "\304\254\305\212\304\272\305\245\304\254\306\212\306\207\304\214\305\274\304\273\305"
     "\220\305\266\304\252\305\261\306\215\305\254\306\225\305\247\304\201\304\277\305\273"
     "\305\274\306\213\304\265\305\254\306\220\304\253",
     "\304\214\304\205\304\212\304\217\304\202\305\243\304\237\304\221\305\207\305\256\304"
     "\220\306\220\305\260\304\260\304\262\304\273\305\203\304\266\304\237\304\263\304\215"
     "\304\205\304\225\304\206\305\235\304\242\304\222\304\247\305\270\304\203\304\261\305"
     "\213\306\220\304\204\305\202\306\202\304\256\306\214\304\203\304\222\305\220\304\234"
     "\305\201\305\212\306\211\304\266\305\220\306\213\304\254\304\220\304\234\304\270\305"
     "\201\305\202\304\274\304\203\305\241\304\222\305\274\306\204\305\242\305\243\304\276"
     "\305\266\305\210\304\270\304\234\305\242\305\250\304\256\305\256\305\252\305\263\304"
     "\243\304\232\305\265\306\204\305\234\305\203\304\237\306\207\305\262\304\221\305\247"
     "\305\216\304\242\304\244\304\255\304\263\305\201\305\223\305\205\304\261\305\237\304"
     "\264\304\244\304\260\306\225\304\206\305\250\305\211\305\205\304\204\305\220\304\275"
     "\305\277\305\247\304\276\304\210\304\212\304\211\304\212\305\227\304\225\305\267\305"
     "\223\305\266\304\237\305\223\305\270\305\241\304\233\305\233\304\247\305\273\304\233"
     "\304\217\305\247\305\241\305\260\304\211\305\262\305\277\304\222\304\252\304\241\305"
     "\264\306\214\305\211\305\265\304\260\305\233\306\204\305\251\305\277\305\250\304\275"
     "\304\246\304\200\305\210\306\211\305\277\305\257\304\263\305\257\305\203\304\241\305"
     "\222\304\230\305\273\305\245\305\236\305\231\305\206\305\236\305\272\306\200\304\214"
     "\305\207\305\202\305\222\304\260\304\255\305\270\304\227\304\216\304\220\304\200\306"
     "\206\304\206\305\221\305\270\304\271\304\277\304\255\305\272\305\241\304\262\305\231"
     "\306\221\305\237\305\222\305\246\306\222\305\256\306\207\306\222\305\256\304\277\305"
     "\250\305\277\306\221\305\240\304\242\304\241\305\236\305\271\306\215\304\215\305\210"
     "\305\261\305\247\305\215\304\225\305\216\305\275\305\263\305\231\305\210\306\211\304"
     "\201\304\216\304\205\305\201\305\270\306\201\305\252\305\237\305\236\304\276\305\206"
     "\304\241\305\231\304\225\305\245\306\220\306\220\306\225\305\276\304\255\304\254\305"
     "\200\304\253\304\241\305\205\304\234\304\222\304\220\305\204\304\222\306\210\305\244"
     "\305\205\305\275\304\260\305\250\305\236\304\217\305\230\306\222\305\225\305\247\305"
     "\222\305\265\305\226\305\255\304\260\304\273\304\224\304\246\306\224\305\257\305\240"
     "\305\267\304\233\304\226\304\240\305\240\305\274\304\200\305\254\305\206\306\203\305"
     "\230\304\222\304\261\305\261\305\214\306\224\305\226\304\265\304\226\305\245\304\266"
     "\305\264\304\204\304\242\305\227\305\220\306\210",
     0x1.b4e81b4e81b4fp-6},
    {"\305\234\304\252\306\212\305\231\304\241\305\200\304\217\304\231\305\221\304\202\304"
     "\234\305\267\304\272\304\240\304\247\304\200\305\240\304\215\305\274\305\264\305\221"
     "\304\273\305\260\305\204\304\232\305\204\305\223\304\245\304\230\305\203\304\222\306"
     "\225\304\210\305\272\304\245\305\223\304\217\305\205\304\213\304\217\304\207\305\262"
     "\305\240\305\216\304\221\304\217\305\225\304\262\306\207\305\211\305\275\304\244\305"
     "\271\305\225\305\255\304\216\306\205\305\217\306\204\305\244\305\202\304\236\304\241"
     "\305\277\305\247\305\256\305\250\305\213\305\277\304\220\306\200\305\211\305\272\305"
     "\277\305\240\304\274\305\217\305\230\306\201\305\211\304\237\306\204\304\206\305\244"
     "\306\207\305\250\306\224\304\271\305\212\305\257\304\274\305\212\304\245\305\215\305"
     "\230\304\256\305\222\304\233\305\201\304\217\305\227\304\230\304\223\305\274\304\210"
     "\306\201\305\256\305\265\304\236\304\261\305\247\304\211\306\222\304\270\306\206\305"
     "\240\304\202\305\225\304\210\305\203\304\253\304\273\304\246\304\271\304\240\305\223"
     "\306\220\306\207\304\212\305\244\304\203\305\271\304\217\306\203\304\207\306\204\304"
     "\277\305\225\304\242\306\202\306\224\305\243\305\266\306\214\304\274\305\245\304\233"
     "\305\255\304\235\305\221\305\211\306\216\306\203\305\266\304\227\304\245\304\245\306"
     "\213\304\263\305\220\304\270\305\241\305\213\305\222\304\277\304\205\305\267\305\263"
     "\305\257\306\225\305\223\304\270\304\273\305\227\304\215\305\233\305\221\305\223\306"
     "\203\306\205\306\214\304\276\304\271\304\214\306\220\305\262\305\220\305\257\304\230"
     "\304\263\304\231\304\266\304\221\305\232\304\216\305\227\304\247\304\244\305\245\304"
     "\203\305\245\305\277\304\216\304\211\305\263\305\240\305\266\305\204\304\217\306\216"
     "\304\273\305\205\305\201\305\244\305\227\304\206\304\204\304\226\304\213\305\211\305"
     "\257\304\226\305\247\306\220\305\246\305\272\305\244\305\241\305\212\305\206\305\267"
     "\305\264\304\243\304\225\304\213\304\220\306\225\306\216\305\240\304\275\304\253\305"
     "\213\304\261\306\206\305\247\304\252\306\201\305\236\304\263\304\232\304\221\306\203"
     "\305\245\305\236\305\226\304\230\306\204\304\221\306\225\304\232\304\261\305\252\305"
     "\251\304\230\304\202\304\243\305\262\305\256\304\203\304\261\304\207\304\214\305\264"
     "\304\254\305\212\304\272\305\245\304\254\306\212\306\207\304\214\305\274\304\273\305"
     "\220\305\266\304\252\305\261\306\215\305\254\306\225\305\247\304\201\304\277\305\273"
     "\305\274\306\213\304\265\305\254\306\220\304\253",
     "\304\214\304\205\304\212\304\217\304\202\305\243\304\237\304\221\305\207\305\256\304"
     "\220\306\220\305\260\304\260\304\262\304\273\305\203\304\266\304\237\304\263\304\215"
     "\304\205\304\225\304\206\305\235\304\242\304\222\304\247\305\270\304\203\304\261\305"
     "\213\306\220\304\204\305\202\306\202\304\256\306\214\304\203\304\222\305\220\304\234"
     "\305\201\305\212\306\211\304\266\305\220\306\213\304\254\304\220\304\234\304\270\305"
     "\201\305\202\304\274\304\203\305\241\304\222\305\274\306\204\305\242\305\243\304\276"
     "\305\266\305\210\304\270\304\234\305\242\305\250\304\256\305\256\305\252\305\263\304"
     "\243\304\232\305\265\306\204\305\234\305\203\304\237\306\207\305\262\304\221\305\247"
     "\305\216\304\242\304\244\304\255\304\263\305\201\305\223\305\205\304\261\305\237\304"
     "\264\304\244\304\260\306\225\304\206\305\250\305\211\305\205\304\204\305\220\304\275"
     "\305\277\305\247\304\276\304\210\304\212\304\211\304\212\305\227\304\225\305\267\305"
     "\223\305\266\304\237\305\223\305\270\305\241\304\233\305\233\304\247\305\273\304\233"
     "\304\217\305\247\305\241\305\260\304\211\305\262\305\277\304\222\304\252\304\241\305"
     "\264\306\214\305\211\305\265\304\260\305\233\306\204\305\251\305\277\305\250\304\275"
     "\304\246\304\200\305\210\305\227\304\230\304\223\305\274\304\210\306\201\305\256\305"
     "\265\304\236\304\261\305\247\304\211\306\222\304\270\306\206\305\240\304\202\305\225"
     "\304\210\305\203\304\253\304\273\304\246\304\271\304\240\305\223\306\220\306\207\304"
     "\212\305\244\304\203\305\271\304\217\306\203\304\207\306\204\304\277\305\225\304\242"
     "\306\202\306\224\305\243\305\266\306\214\304\274\305\245\304\233\305\255\304\235\305"
     "\221\305\211\306\216\306\203\305\266\304\227\304\245\304\245\306\213\304\263\305\220"
     "\304\270\305\241\305\213\305\222\304\277\304\205\305\267\305\263\305\257\306\225\305"
     "\223\304\270\304\273\305\227\304\215\305\233\305\221\305\223\306\203\306\205\306\214"
     "\304\276\304\271\304\214\306\220\305\262\305\220\305\257\304\230\304\263\304\231\304"
     "\266\304\221\305\232\304\216\305\227\304\247\304\244\305\245\304\203\305\245\305\277"
     "\304\216\304\211\305\263\305\240\305\266\305\204\304\217\306\216\304\273\305\205\305"
     "\201\305\244\305\227\304\206\304\204\304\226\304\213\305\211\305\257\304\226\305\247"
     "\306\220\305\246\305\272\305\244\305\241\305\212\305\206\305\267\305\264\304\243\304"
     "\225\304\213\304\220\306\225\306\216\305\240\304\275\304\253\305\213\304\261\306\206"
     "\305\247\304\252\306\201\305\236\304\263\304\232\304\221\306\203\305\245\305\236\305"
     "\226\304\230\306\204\304\221\306\225\304\232\304\261\305\252\305\251\304\230\304\202"
     "\304\243\305\262\305\256\304\203\304\261\304\207\304\214\305\264\304\254\305\212\304"
     "\272\305\245\304\254\306\212\306\207\304\214\305\274\304\273\305\220\305\266\304\252"
     "\305\261\306\215\305\254\306\225\305\247\304\201\304\277\305\273\305\274\306\213\304"
     "\265\305\254\306\220\304\253",
     0x1.4160e2dafa7c7p-1},
};
/* clang-format on */

#endif
