#!/bin/sh
# The manual agrees with the headers: every public function has a page that names it, shows its very
# prototype and lists every error its comment lists; every page is about a function, renders without
# a warning, refers to pages there are; examples that are whole programs compile. No library, no root.
#
#   tests/man.sh      exit 0 if all pass; last line "man: N passed, N failed"
cd "$(dirname "$0")/.." || exit 2

tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
tab=$(printf '\t')
passed=0
failed=0
check() { # what it says when it fails, command
    says=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $says"
    fi
}

# Plain text of a page on stdout, warnings on stderr. Pages share text by .so, relative to docs/man.
if command -v groff >/dev/null 2>&1; then
    render() { (cd docs/man && groff -s -man -Tutf8 -ww -P-c -P-b -P-o -P-u "$1"); }
elif command -v mandoc >/dev/null 2>&1; then
    render() {
        shared=$(sed -n 's/^\.so //p' "docs/man/$1") # which mandoc would warn of
        mandoc -Tutf8 -W warning "docs/man/${shared:-$1}" | sed 's/.\x08//g'
    }
else
    echo "man: neither groff nor mandoc is installed" >&2
    exit 2
fi

# One line per prototype of a header: name, prototype without blanks, errors its comment lists.
prototypes() {
    awk '
    function statement(s,   name, codes, words, n, i) {
        if (s ~ /^typedef|^static|^MOS_PROMISE/ || s !~ /^[a-z][A-Za-z0-9_ ]*[ *][a-z][a-z0-9_]*\(.*\);$/)
            return
        name = s
        sub(/\(.*/, "", name)
        sub(/.*[ *]/, "", name)
        gsub(/[ \t]/, "", s)
        n = split(comment, words, /[^A-Za-z0-9_]+/)
        for (i = 1; i <= n; i++)
            if (words[i] ~ /^E[A-Z0-9][A-Z0-9][A-Z0-9]+$/)
                codes = codes " " words[i]
        print name "\t" s "\t" codes
    }
    macro { macro = /\\$/; next }
    /^#/ { macro = /\\$/; next }
    /^extern "C" \{/ { next }
    {
        line = $0
        if (!inside && line ~ /^[ \t]*\/\*/) { inside = 1; if (!depth) comment = "" }
        if (inside) {
            if (!depth) comment = comment " " line
            if (line ~ /\*\//) inside = 0
            next
        }
        sub(/[ \t]*\/\*.*\*\//, "", line)
        opened = gsub(/\{/, "{", line)
        closed = gsub(/\}/, "}", line)
        if (depth || opened) {
            depth += opened - closed
            text = ""
            next
        }
        if (line ~ /^[ \t]*\}?[ \t]*$/) next
        sub(/^[ \t]+/, "", line)
        text = text (text == "" ? "" : " ") line
        if (text ~ /;$/) { statement(text); text = ""; comment = "" }
    }' "$1"
}

for header in include/*.h; do
    prototypes "$header"
done >"$tmp/prototypes"
check "no prototype found in include/" [ -s "$tmp/prototypes" ]
check "no errors found in the comment of mtcp_getsockopt" \
    grep -q "^mtcp_getsockopt$tab.*ENODATA" "$tmp/prototypes"
cut -f1 "$tmp/prototypes" >"$tmp/functions"

mkdir "$tmp/text"
for path in docs/man/*.[1-8]; do
    page=${path#docs/man/}
    render "$page" >"$tmp/text/$page" 2>"$tmp/warnings"
    check "$page: $(head -1 "$tmp/warnings")" [ ! -s "$tmp/warnings" ]
    check "$page: nothing in it" [ -s "$tmp/text/$page" ]
done

while IFS=$tab read -r name prototype codes; do
    text="$tmp/text/$name.3"
    check "$name: no page docs/man/$name.3" [ -f "$text" ]
    [ -f "$text" ] || continue
    tr -d ' \n' <"$text" >"$tmp/solid"
    sed -n '/^NAME/,/^SYNOPSIS/p' "$text" >"$tmp/names"
    check "$name: not in NAME of its page" grep -qw "$name" "$tmp/names"
    check "$name: its page shows another prototype than $prototype" \
        grep -qF "$prototype" "$tmp/solid"
    for code in $codes; do
        check "$name: its page does not list $code" grep -qw "$code" "$text"
    done
done <"$tmp/prototypes"

for path in docs/man/*.3; do
    page=${path#docs/man/}
    check "$page: no such function in include/" grep -qx "${page%.3}" "$tmp/functions"
done

grep -hoE '(mtcp|mos)[a-z0-9_]*\\fP\([0-9]\)|^\.BR (mtcp|mos)[a-z0-9_]* \([0-9]\)' docs/man/*.[1-8] |
    sed 's/^\.BR //; s/\\fP//; s/ //; s/(/./; s/)//' | sort -u >"$tmp/refers"
while read -r page; do
    check "a page refers to $page" [ -f "docs/man/$page" ]
done <"$tmp/refers"

# Every option of monitors is explained.
sed -n '/^enum mos_socket_opts/,/^}/s/^ *\(MOS_[A-Z_]*\) =.*/\1/p' include/mos_api.h >"$tmp/options"
check "no option found in mos_api.h" [ -s "$tmp/options" ]
while read -r option; do
    check "$option: in neither mtcp_getsockopt.3 nor mtcp_setsockopt.3" \
        grep -qw "$option" "$tmp/text/mtcp_getsockopt.3" "$tmp/text/mtcp_setsockopt.3"
done <"$tmp/options"

# Examples that begin with an #include are whole programs.
for path in docs/man/*.[1-8]; do
    awk -v out="$tmp/${path##*/}" '
        /^\.EX/ { n++; first = 1; whole = 0; next }
        /^\.EE/ { whole = 0; next }
        first { first = 0; whole = /^#include/ }
        whole { sub(/^\\&/, ""); gsub(/\\e/, "\\"); gsub(/\\-/, "-"); print >(out "." n ".c") }
    ' "$path"
done
for example in "$tmp"/*.c; do
    check "${example##*/}: an example that does not compile" \
        "${CC:-gcc}" -std=gnu11 -Wall -Wextra -Werror -Iinclude -fsyntax-only "$example"
done

echo "man: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
