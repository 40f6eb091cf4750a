#!/usr/bin/env bash
# Puts one profile through every view and every export, and checks that all say the same totals.
#
#   docs/programs/views.sh PROFILE FOLDER     the views are written to FOLDER, to be looked at
#
# PROFILE is to be an exact one (`--sample all`), so that all totals are to the byte; `memprof` is the one in the PATH. Where a
# view prints rounded figures, those are compared as they are rounded. The exit code says whether all agree.
# `go tool pprof` is asked too where Go is installed.
set -euo pipefail

profile=${1:?usage: $0 PROFILE FOLDER}
folder=${2:?usage: $0 PROFILE FOLDER}
mkdir -p "$folder"
failures=0

# of KEY: a number of the report's JSON.
of() {
    grep -om1 "\"$1\": [0-9]*" "$folder/report.json" | grep -o '[0-9]*$'
}

# expect WHAT EXPECTED FOUND
expect() {
    local verdict=ok
    if [ "$2" != "$3" ]; then
        verdict="WRONG, expected $2"
        failures=$((failures + 1))
    fi
    printf '%-34s %-22s %s\n' "$1" "$3" "$verdict"
}

# has WHAT FILE TEXT
has() {
    if grep -qF -- "$3" "$folder/$2"; then
        expect "$1" "$3" "$3"
    else
        expect "$1" "$3" "nothing"
    fi
}

# view FILE COMMAND…: into FILE, which says what went wrong if anything does.
view() {
    local file=$folder/$1
    shift
    memprof "$@" -o "$file"
}

commas() {
    sed -E ':again; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; t again' <<<"$1"
}

# As in running text: 31.0 MiB.
words() {
    awk -v bytes="$1" 'BEGIN {
        split("B KiB MiB GiB", unit, " ")
        for (i = 1; bytes >= 1023.95 && i < 4; i++) bytes /= 1024
        printf i == 1 ? "%d %s" : "%.1f %s", bytes, unit[i]
    }'
}

# sum FILE PATTERN: of the numbers behind PATTERN.
sum() {
    grep -oE "$2[0-9]+" "$folder/$1" | grep -oE '[0-9]+$' | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

view report.json report "$profile" --format json
allocated=$(of alloc_bytes) live=$(of heap) peak=$(of peak)
blocks=$(($(of allocs) + $(of reallocs)))
echo "allocated $allocated, live $live, peak $peak, blocks $blocks"

view report.txt report "$profile" --columns allocated,freed,live,peak,count,temporary,reallocated
view report.csv report "$profile" --format csv
view all.txt report "$profile" --all
view summary.txt summary "$profile"
has 'summary, allocated' summary.txt "($(commas "$allocated") B)"
has 'summary, peak' summary.txt "($(commas "$peak") B)"
view summary.json summary "$profile" --format json
expect 'summary as JSON, allocated' "$allocated" "$(grep -om1 '"alloc_bytes": [0-9]*' "$folder/summary.json" | grep -o '[0-9]*$')"
view report.html report "$profile" --format html
has 'page, allocated' report.html "\"allocated\":$allocated"
has 'page, peak' report.html "\"peak\":$peak"

for figure in "allocated $allocated" "live $live" "count $blocks"; do
    read -r name value <<<"$figure"
    for inverted in "" --inverted; do
        # shellcheck disable=SC2086 # none or one option
        view "$name$inverted.svg" flamegraph "$profile" --all --of "$name" $inverted
        has "flamegraph $inverted, $name" "$name$inverted.svg" "all ($(commas "$value") b"
    done
    view "$name.tree.txt" tree "$profile" --all --of "$name"
    if [ "$name" = count ]; then
        has "tree, $name" "$name.tree.txt" ": $(commas "$value");"
    else
        has "tree, $name" "$name.tree.txt" ": $(words "$value");"
    fi
    view "$name.folded" export "$profile" --format folded --of "$name"
    expect "folded, $name" "$value" "$(awk '{ sum += $NF } END { printf "%.0f", sum }' "$folder/$name.folded")"
done

for form in txt svg png; do
    view "timeline.$form" timeline "$profile"
done
has 'timeline, peak' timeline.txt "peak $(words "$peak")"
has 'timeline as SVG, peak' timeline.svg "peak $(words "$peak")"
view leaks.txt leaks "$profile"
has 'leaks, live' leaks.txt "Live at the end: $(words "$live")"
view temporary.txt temporary "$profile"
memprof live --once --interval 1ms "$profile" >"$folder/live.txt"
has 'live, heap' live.txt "$(words "$live")"

view diff.json diff "$profile" "$profile" --format json
expect 'diff with itself, changes' 0 "$(grep -c '"within_noise"' "$folder/diff.json" || true)"
view diff.html diff "$profile" "$profile" --format html
has 'diff with itself, page, peak' diff.html "\"peak\":[$peak,$peak]"
view base.svg flamegraph "$profile" --all --of allocated --base "$profile"
has 'flamegraph with itself as base' base.svg "all ($(commas "$allocated") b"
expect 'the same, frames that changed' 0 "$(grep -cE '; [+-][0-9]*[1-9]' "$folder/base.svg" || true)"

view dhat.json export "$profile" --format dhat
expect 'DHAT, allocated' "$allocated" "$(sum dhat.json '"tb":')"
expect 'DHAT, blocks' "$blocks" "$(sum dhat.json '"tbk":')"
expect 'DHAT, live' "$live" "$(sum dhat.json '"eb":')"
view stacks.csv export "$profile" --format csv
# Names hold no commas that are not quoted; columns are counted from the end.
expect 'CSV, allocated' "$allocated" "$(awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == "alloc_space") behind = NF - i; next }
    { sum += $(NF - behind) } END { printf "%.0f", sum }' "$folder/stacks.csv")"
view stacks.json export "$profile" --format json
expect 'JSON, stacks, allocated' "$allocated" "$(grep -o '"stacks":\[.*' "$folder/stacks.json" | grep -oE '"allocated":[0-9]+' | grep -oE '[0-9]+' | awk '{ sum += $1 } END { printf "%.0f", sum }')"
view speedscope.json export "$profile" --format speedscope
has 'speedscope, allocated' speedscope.json "\"endValue\":$allocated"
view firefox.json export "$profile" --format firefox
view heap.otlp export "$profile" --format otlp
view heap.pb.gz export "$profile" --format pprof
if command -v go >/dev/null; then
    for index in "alloc_space $allocated" "inuse_space $live"; do
        read -r name value <<<"$index"
        # Its own words: `100% of 60648536B total`.
        found=$(go tool pprof -top -unit=B "-sample_index=$name" "$folder/heap.pb.gz" 2>/dev/null |
            grep -om1 'of [0-9]*B total' | grep -o '[0-9]*')
        expect "go tool pprof, $name" "$value" "$found"
    done
else
    echo 'not checked: what `go tool pprof` says, as there is no Go'
fi

for file in "$folder"/*; do
    [ -s "$file" ] || expect "${file##*/}" "something" "nothing"
done
[ "$failures" -eq 0 ]
