#!/bin/sh
# What the RFCs require, and the tests that show it: docs/rfc-coverage.md, from tags in the tests and
# the lists in tests/rfc. Fails when a MUST has no test, a SHOULD or MAY neither test nor reason, a row
# of a map no test, a tag or a map names what there is not, or the page is not what this would write.
# No library, no root.
#
#   tests/rfc.sh [--write]      exit 0 if all pass; last line "rfc: N passed, N failed"
#       --write   writes the page
#
# tests/rfc/rfc<n>.tsv, one requirement a line, tabs between: id, level, section, what in our words,
# and, where it is not done or not all of it, the reason. The first line is "# RFC <n>: <title>".
#
# The reason of a MUST begins with what kind it is of: "superseded: RFC <n> ..." by a later text of the
# IETF's; "as Linux: ..." where Linux's default differs, which is what the other end expects; "not
# done: ...".
#
# A tag is in the comment right above a test of tests/t_*.c and says "RFC <n> <id>", with further ids
# of the same RFC behind commas:
#
#     RFC 9293 MUST-19, SHLD-10      ids of appendix B
#     RFC 5961 3.2-1                 a section, and a number of ours: RFCs without numbers
#     RFC 9293 not MUST-51           the test shows what is done instead; the list has the reason
#
# tests/rfc/*.map, likewise: what there is to be shown, in one or two columns of our words, and the
# tests that show it, named suite/test.
#
# A section alone ("RFC 5961 3.2") is a citation. A MUST that is not done as written needs a test
# that says "not", or one under the conditions that the reason names.
cd "$(dirname "$0")/.." || exit 2

tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
page=docs/rfc-coverage.md

# One line per tag: RFC, id, "+" or "not", suite/test, file:line. Tags that are not above a test have
# no test.
tags() {
    awk '
    function flush_comment(test,   at, words, n, i, rfc, how, id, more) {
        n = split(comment, words, " ")
        for (i = 1; i < n; i++) {
            if (words[i] !~ /^[^A-Za-z0-9]*RFC$/ || words[i + 1] !~ /^[0-9]+$/)
                continue
            rfc = words[++i]
            how = "+"
            if (words[i + 1] == "not") {
                how = "not"
                i++
            }
            for (more = 1; more && i < n; ) {
                id = words[i + 1]
                more = id ~ /,$/
                sub(/[^0-9]+$/, "", id)
                if (id !~ /^(MUST|SHLD|MAY|REC)-[0-9]+$/ && id !~ /^[0-9]+(\.[0-9]+)*-[0-9]+$/)
                    break
                i++
                n_tags++
                tag[n_tags] = rfc "\t" id "\t" how
                of[n_tags] = test
                at_line[n_tags] = FILENAME ":" comment_at
            }
        }
        comment = ""
    }
    /^\/\*/ { flush_comment(""); inside = 1; comment_at = FNR }
    inside {
        line = $0
        gsub(/^ *\/?\*+|\*\/.*$/, " ", line)
        comment = comment " " line
        if ($0 ~ /\*\//) inside = 0
        next
    }
    /^static void [a-z0-9_]+\(void\)$/ {
        name = $3
        sub(/\(.*/, "", name)
        flush_comment(name)
        next
    }
    /^TEST_SUITE\(/ { suite = $0; sub(/^TEST_SUITE\( */, "", suite); sub(/,.*/, "", suite) }
    suite != "" {
        if (suite == "") suite = $1
        while (match($0, /TEST_CASE\([a-z0-9_]+\)/)) {
            listed[substr($0, RSTART + 10, RLENGTH - 11)] = 1
            $0 = substr($0, RSTART + RLENGTH)
        }
    }
    { if (comment != "") flush_comment("") }
    END {
        for (i = 1; i <= n_tags; i++)
            print tag[i] "\t" (of[i] in listed ? suite "/" of[i] : "") "\t" at_line[i]
    }' "$1"
}

# One line per test that a suite lists: suite/test.
names() {
    awk '/^TEST_SUITE\(/ { suite = $0; sub(/^TEST_SUITE\( */, "", suite); sub(/,.*/, "", suite) }
    suite != "" {
        while (match($0, /TEST_CASE\([a-z0-9_]+\)/)) {
            print suite "/" substr($0, RSTART + 10, RLENGTH - 11)
            $0 = substr($0, RSTART + RLENGTH)
        }
    }' "$1"
}

for file in tests/t_*.c; do
    # clang-format may put the name of a long suite on a line of its own
    sed '/^TEST_SUITE($/{N;s/\n *//;}' "$file" | sed '/^TEST_SUITE($/d' >"$tmp/source"
    tags "$tmp/source" | sed "s|$tmp/source|$file|"
    names "$tmp/source" >>"$tmp/names"
done >"$tmp/tags"

# The page on "page", what is wrong on "wrong", the sums on "sums".
awk -F '\t' -v page="$tmp/page" -v wrong="$tmp/wrong" -v sums="$tmp/sums" '
    function fail(says) { n_failed++; print "FAIL " says >wrong }
    function level_of(l) { return l ~ /^MUST/ ? "MUST" : l ~ /^SHOULD/ ? "SHOULD" : "MAY" }
    # Of a reason for a MUST: 1 superseded, 2 as Linux, 3 not done, 0 none of them.
    function kind_of(r) {
        return r ~ /^superseded: RFC [0-9]+/ ? 1 : r ~ /^as Linux: ./ ? 2 : r ~ /^not done: ./ ? 3 : 0
    }
    function list_musts(kind, heading,   r, i, key, text) {
        print "\n## MUSTs " heading "\n" >page
        for (r = 1; r <= n_rfcs; r++)
            for (i = 1; i <= n_rows[number[r]]; i++) {
                key = row[number[r], i]
                if (level_of(level[key]) == "MUST" && reason[key] != "" && kind_of(reason[key]) == kind) {
                    text = reason[key]
                    sub(/^[^:]*: /, "", text)
                    print "- RFC " key " (" what[key] "): " text "." >page
                }
            }
    }
    function add(list, name) { return list == "" ? name : list ", " name }
    FILENAME ~ /tags$/ {
        key = $1 " " $2
        if ($4 == "") fail($5 ": RFC " key " is above no test")
        else if ($3 == "not") instead[key] = add(instead[key], $4)
        else shown[key] = add(shown[key], $4)
        where[key] = $5
        tagged_not[key] = tagged_not[key] || $3 == "not"
        next
    }
    FILENAME ~ /names$/ { is_test[$1] = 1; next }
    FILENAME ~ /[.]map$/ {
        if (/^# /) {
            map_title[++n_maps] = substr($0, 3)
            next
        }
        if (NF != 2 && NF != 3) fail(FILENAME ": what is \"" $0 "\"?")
        missing = ""
        for (i = split($NF, shows, /, */); i > 0; i--)
            if (!(shows[i] in is_test)) missing = add(missing, shows[i])
        if ($NF == "" || missing != "")
            fail(FILENAME ": " $1 ": " ($NF == "" ? "no test" : "there is no " missing))
        else n_passed++
        map_columns[n_maps] = NF
        map_row[n_maps, ++n_map_rows[n_maps]] = "| " $1 " | " $2 " |" (NF == 3 ? " " $3 " |" : "")
        next
    }
    /^# RFC [0-9]+: / {
        rfc = $0
        sub(/^# RFC /, "", rfc)
        title[++n_rfcs] = rfc
        sub(/:.*/, "", rfc)
        number[n_rfcs] = rfc
        next
    }
    /^#/ { next }
    {
        key = rfc " " $1
        if (NF < 4 || NF > 5 || $2 !~ /^((MUST|SHOULD)( NOT)?|MAY)$/) fail(FILENAME ": what is \"" $0 "\"?")
        if (key in level) fail(FILENAME ": " $1 " is there twice")
        level[key] = $2
        row[rfc, ++n_rows[rfc]] = key
        if ($2 ~ /^MUST/ && $5 != "" && !kind_of($5))
            fail(FILENAME ": " $1 ": what kind of reason is \"" $5 "\"?")
        id[key] = $1; section[key] = $3; what[key] = $4; reason[key] = $5
    }
    END {
        for (key in where) {
            if (!(key in level)) fail(where[key] ": there is no RFC " key)
            else if (tagged_not[key] && reason[key] == "")
                fail(where[key] ": RFC " key " is not done, and tests/rfc has no reason")
        }
        print "# RFC coverage" >page
        print "" >page
        print "Written by `tests/rfc.sh --write` from tags in the tests. A test `input/a_burst_is_acked_once` is" >page
        print "run by `build/debug/unit input a_burst_is_acked_once`. Requirements are in our words; the RFC counts." >page
        print "Ids are those of RFC 9293 appendix B; for other RFCs a section and a number of ours." >page
        print "Rows drawn by lot are checked by breaking what they say, upon which a test must turn red:" >page
        print "`MUTANT=RFC tests/mutants.sh`, or the row'"'"'s `MUTANT='"'"'RFC 9293 MUST-61'"'"'` (tests/mutants.list)." >page
        for (r = 1; r <= n_rfcs; r++) {
            rfc = number[r]
            for (i = 1; i <= n_rows[rfc]; i++) {
                key = row[rfc, i]
                l = level_of(level[key])
                n[rfc, l]++; n_all[l]++
                has = shown[key] != "" || (l == "MUST" && instead[key] != "")
                if (!has && l == "MUST") fail("RFC " key ": a MUST without a test: " what[key])
                else if (!has && reason[key] == "") fail("RFC " key ": neither test nor reason: " what[key])
                else n_passed++
                if (shown[key] != "") { n_shown[rfc, l]++; n_all_shown[l]++ }
                if (reason[key] != "") { n_reasons[rfc, l]++; n_all_reasons[l]++ }
                if (l == "MUST" && reason[key] != "") {
                    n_kind[rfc, kind_of(reason[key])]++
                    n_all_kind[kind_of(reason[key])]++
                }
            }
        }
        print "" >page
        print "| RFC | MUST | shown | superseded | as Linux | not done | SHOULD | shown | reasons | MAY | shown | reasons |" >page
        print "|---|---|---|---|---|---|---|---|---|---|---|---|" >page
        for (r = 1; r <= n_rfcs; r++) {
            rfc = number[r]
            line = "| " title[r]
            for (k = 1; k <= 3; k++) {
                l = k == 1 ? "MUST" : k == 2 ? "SHOULD" : "MAY"
                line = line " | " n[rfc, l] + 0 " | " n_shown[rfc, l] + 0
                if (l == "MUST") line = line " | " n_kind[rfc, 1] + 0 " | " n_kind[rfc, 2] + 0 " | " n_kind[rfc, 3] + 0
                else line = line " | " n_reasons[rfc, l] + 0
            }
            print line " |" >page
        }
        list_musts(1, "that a later text replaces")
        list_musts(2, "where Linux does otherwise, and so does this")
        list_musts(3, "that are not done")
        for (r = 1; r <= n_rfcs; r++) {
            rfc = number[r]
            print "" >page
            print "## RFC " title[r] >page
            print "" >page
            print "| | | § | | |" >page
            print "|---|---|---|---|---|" >page
            for (i = 1; i <= n_rows[rfc]; i++) {
                key = row[rfc, i]
                text = shown[key]
                if (instead[key] != "") text = text (text == "" ? "" : "; ") "instead: " instead[key]
                if (reason[key] != "") text = text (text == "" ? "" : "; ") reason[key]
                print "| " id[key] " | " level[key] " | " section[key] " | " what[key] " | " text " |" >page
            }
        }
        for (m = 1; m <= n_maps; m++) {
            print "\n## " map_title[m] "\n" >page
            print map_columns[m] == 3 ? "| | | |\n|---|---|---|" : "| | |\n|---|---|" >page
            for (i = 1; i <= n_map_rows[m]; i++) print map_row[m, i] >page
            n_all_maps += n_map_rows[m]
        }
        printf "%d requirements: %d of %d MUST shown as written, %d of %d SHOULD, %d of %d MAY; MUSTs superseded: %d, as Linux: %d, not done: %d; reasons: %d SHOULD, %d MAY; %d rows of maps\n",
            n_all["MUST"] + n_all["SHOULD"] + n_all["MAY"], n_all_shown["MUST"], n_all["MUST"],
            n_all_shown["SHOULD"], n_all["SHOULD"], n_all_shown["MAY"], n_all["MAY"],
            n_all_kind[1], n_all_kind[2], n_all_kind[3], n_all_reasons["SHOULD"], n_all_reasons["MAY"], n_all_maps >sums
        print n_passed + 0, n_failed + 0 >sums
    }' "$tmp/tags" "$tmp/names" tests/rfc/rfc9293.tsv $(ls tests/rfc/*.tsv | grep -v rfc9293 | sort) \
    tests/rfc/arms.map tests/rfc/stack.map tests/rfc/options.map tests/rfc/hard_cases.map \
    tests/rfc/monitor.map

[ -f "$tmp/wrong" ] && cat "$tmp/wrong"
passed=$(sed -n '2s/ .*//p' "$tmp/sums")
failed=$(sed -n '2s/.* //p' "$tmp/sums")
if [ "${1:-}" = --write ]; then
    cp "$tmp/page" "$page"
fi
if cmp -s "$tmp/page" "$page"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAIL $page is not what the tests say: tests/rfc.sh --write"
fi
sed -n 1p "$tmp/sums"
echo "rfc: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
