#!/bin/sh
# Fetches the front-end files that are committed, and says whether they are the committed ones. Needs npm and a network.
set -eu
cd "$(dirname "$0")/.."
version=2.0.11
target="platform/salus_web/dashboard/static/salus/vendor/htmx-$version.min.js"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
(cd "$place" && npm pack --silent "htmx.org@$version" >/dev/null && tar xzf "htmx.org-$version.tgz")
if [ -f "$target" ] && cmp -s "$place/package/dist/htmx.min.js" "$target"; then
    echo "htmx $version: unchanged"
else
    cp "$place/package/dist/htmx.min.js" "$target"
    echo "htmx $version: written to $target"
fi
