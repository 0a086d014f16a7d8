#!/usr/bin/env bash
# A container image without any registry, as the Dockerfile describes it: no shell, no package manager, not root. What it
# needs of Debian (libc, libgcc_s, the public authorities' certificates, time zones) comes from a debootstrap of the
# release that this machine runs, since the program was linked with its libc.
#
#   conf/image.sh PROGRAM VERSION OUT.tar        for docker load -i, podman load -i, skopeo copy docker-archive:OUT.tar ...
set -euo pipefail
program=$(realpath "$1") version=$2 out=$(realpath -m "$3")
[ "$(id -u)" -eq 0 ] || { echo "debootstrap and buildah without user namespaces need root" >&2; exit 1; }

work=$(dirname "$out")/image
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
base=$work/$suite
# chroot and vfs need nothing of the kernel that a container or a small machine does not have.
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
store=(--root "$work/storage" --runroot "$work/run")
mkdir -p "$work"

if [ ! -e "$base/.complete" ]; then
    echo "debootstrap $suite (about a minute)"
    rm -rf "$base"
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$base" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
    touch "$base/.complete"
fi

# What is in the image, as a tree of its own.
tree=$work/tree
rm -rf "$tree"
mkdir -p "$tree"/{usr/local/bin,usr/lib,usr/lib64,etc/ssl/certs,tmp} "$tree/home/nonroot"
for folder in lib lib64; do [ -L "$base/$folder" ] && cp -a "$base/$folder" "$tree/"; done
install -m 755 "$program" "$tree/usr/local/bin/wecom-gate"
install -m 755 "$program" "$base/tmp/wecom-gate"
needed=$(chroot "$base" ldd /tmp/wecom-gate)
rm "$base/tmp/wecom-gate"
case $needed in *"not found"*) echo "$needed" >&2; exit 1 ;; esac
# Names as the program asks for them; the file behind each. Names of hosts are looked up by libraries that no ldd shows.
for library in $(grep -o '/[^ ]*' <<<"$needed" | sort -u) /lib/x86_64-linux-gnu/libnss_{dns,files}.so.2 /lib/aarch64-linux-gnu/libnss_{dns,files}.so.2; do
    [ -e "$base$library" ] || continue
    real=$(chroot "$base" realpath "$library")
    mkdir -p "$tree$(dirname "$library")"
    cp "$base$real" "$tree$library"
done
cp "$base/etc/ssl/certs/ca-certificates.crt" "$tree/etc/ssl/certs/"
cp "$base/etc/os-release" "$base/etc/debian_version" "$tree/etc/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$tree/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$tree/etc/group"
printf 'hosts: files dns\n' >"$tree/etc/nsswitch.conf"
chmod 1777 "$tree/tmp"
# A volume made from it belongs to the gate's user, so that `wecom-gate init` can write its configuration.
install -d -m 700 -o 65532 -g 65532 "$tree/etc/wecom-gate"
chown 65532:65532 "$tree/home/nonroot"

container=$(buildah "${store[@]}" from --format docker scratch)
trap 'buildah "${store[@]}" rm "$container" >/dev/null' EXIT
# Not by copy: that gives every file to root.
cp -a "$tree/." "$(buildah "${store[@]}" mount "$container")/"
buildah "${store[@]}" umount "$container" >/dev/null
buildah "${store[@]}" config \
    --user 65532:65532 --workingdir /etc/wecom-gate --env WECOM_GATE_CONF=/etc/wecom-gate/wecom-gate.toml --port 8080 \
    --stop-signal SIGTERM --entrypoint '["/usr/local/bin/wecom-gate"]' --cmd run \
    --healthcheck 'CMD /usr/local/bin/wecom-gate healthcheck' --healthcheck-interval 10s --healthcheck-timeout 5s \
    --healthcheck-start-period 10s --healthcheck-retries 3 \
    --label org.opencontainers.image.title=wecom-gate --label org.opencontainers.image.version="$version" \
    --label org.opencontainers.image.licenses="$(sed -n 's/^license = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml" | head -n 1)" \
    "$container"

rm -f "$out"
image=$(buildah "${store[@]}" commit -q --format docker "$container" "wecom-gate:$version")

# It runs, as its user, with what is in it and nothing else.
trial=$(buildah "${store[@]}" from "$image")
trap 'buildah "${store[@]}" rm "$container" "$trial" >/dev/null' EXIT
buildah "${store[@]}" run "$trial" -- /usr/local/bin/wecom-gate --version
buildah "${store[@]}" push -q "$image" "docker-archive:$out:wecom-gate:$version"
ls -l "$out"
