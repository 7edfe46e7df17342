#!/bin/sh
# The ten checks of ten.toml as an entry script does them: what the shell can do itself it does itself.
failed=0
fail() {
    echo "$1" >&2
    failed=1
}

printf '%s\n' "$DATABASE_URL" | grep -Eq '^postgres(ql)?://[^/ ]+(/.*)?$' || fail "DATABASE_URL is no postgres URL"

case $PORT in
    '' | *[!0-9]*) fail "PORT is no port" ;;
    *) [ "$PORT" -ge 1 ] && [ "$PORT" -le 65535 ] || fail "PORT is no port" ;;
esac

case $LOG_LEVEL in
    debug | info | warn | error) ;;
    *) fail "LOG_LEVEL is none of debug, info, warn, error" ;;
esac

case $WORKERS in
    '' | *[!0-9]*) fail "WORKERS is no number" ;;
    *) [ "$WORKERS" -ge 1 ] && [ "$WORKERS" -le 64 ] || fail "WORKERS is not from 1 to 64" ;;
esac

uid=$(id -u)
[ "$uid" -eq 0 ] && getent passwd "$uid" >/dev/null || fail "not root, or not in /etc/passwd"

[ -s "$APP/app.conf" ] && [ "$(stat -c '%U %a' "$APP/app.conf")" = "root 640" ] || fail "app.conf is not as it should be"

[ -f "$APP/start" ] && [ -x "$APP/start" ] || fail "start cannot be executed"

[ -d "$APP/data" ] && [ -w "$APP/data" ] || fail "data is no directory, or cannot be written"

mountpoint -q "$APP/state" && grep -q " $APP/state tmpfs rw" /proc/mounts || fail "state is no tmpfs that can be written"

limit=$(ulimit -n)
[ "$limit" = unlimited ] || [ "$limit" -ge 1024 ] || fail "too few open files"

[ "$failed" -eq 0 ] || exit 69
