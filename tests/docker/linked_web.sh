#!/bin/sh
# The start-up script that config-examples/linked-web.toml replaces.
if [ -n "$WEB_HOST" ]; then
    [ -z "$WEB_PORT_80_TCP" ] || echo "WEB_HOST is set and overrides the link web" >&2
elif [ -n "$WEB_PORT_80_TCP" ]; then
    export WEB_HOST=web
else
    echo "link a container as web, or set WEB_HOST" >&2
    exit 69
fi
exec "$@"
