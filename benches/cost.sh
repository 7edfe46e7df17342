#!/bin/sh
# What each part of rinit takes of the file that is released: bytes of code by module, as a Markdown table.
# (As `cargo bloat`, which cannot build that file. A generic function counts for the first part of rinit that its
# types name, else for the crate it comes from; .rodata is not divided.)
#
#     benches/cost.sh [TRIPLE]
set -eu
cd "$(dirname "$0")/.."
triple=${1:-x86_64-unknown-linux-musl}
directory=${CARGO_TARGET_DIR:-target}/cost
CARGO_TARGET_DIR=$directory CARGO_PROFILE_RELEASE_STRIP=none .ci/release "$triple" >&2
file=$directory/released/$triple/release/rinit

echo "## What each part costs"
echo
echo "Bytes of code in the released file, by module (\`benches/cost.sh\`). A generic function counts for the first part of"
echo "rinit that its types name, else for the crate that it comes from; read-only data is not divided."
echo
echo "| part | bytes of code | % |"
echo "| --- | ---: | ---: |"
nm --radix=d --print-size --demangle "$file" | awk '
    $3 ~ /^[tTwW]$/ && NF >= 4 && !seen[$1]++ {
        size = $2 + 0
        name = $0
        sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", name)
        if (match(name, /rinit::((checks|config|sys)::)?[a-z_]+/))
            part = substr(name, RSTART, RLENGTH)
        else if (match(name, /(toml|toml_parser|toml_datetime|winnow|serde_core|serde_spanned|tracing_core|tracing_subscriber|tracing|sharded_slab|signal_hook|signal_hook_registry|nix|compiler_builtins)(::|>)/)) {
            part = substr(name, RSTART, RLENGTH)
            sub(/(::|>)$/, "", part)
        } else if (name ~ /(^|[<& (])(std|core|alloc|hashbrown|gimli|addr2line|rustc_demangle|memchr|miniz_oxide)::/ || name ~ /^__rust|_RNv|rust_/)
            part = "std, core, alloc"
        else if (name ~ /^OUTLINED_FUNCTION/)
            part = "(code that several share, outlined)"
        else
            part = "C library (musl)"
        sum[part] += size
        all += size
    }
    END {
        for (part in sum)
            if (sum[part] < 1000) {
                sum["(all that is smaller than 1000)"] += sum[part]
                delete sum[part]
            }
        for (part in sum) printf "%d\t| `%s` | %d | %.1f |\n", sum[part], part, sum[part], 100 * sum[part] / all
    }
' | sort -rn | cut -f2- | sed 's/`\(std, core, alloc\|(.*)\|C library (musl)\)`/\1/'
echo
stripped=$directory/stripped
strip -o "$stripped" "$file" 2>/dev/null || objcopy --strip-all "$file" "$stripped"
size -A "$stripped" | awk '$1 ~ /^\.(text|rodata|data|eh_frame)$/ { printf "`%s` %d bytes, ", $1, $2 }'
echo "the file $(stat --format %s "$stripped") bytes."
