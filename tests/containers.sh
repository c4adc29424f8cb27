#!/usr/bin/env bash
# Does a generated federation run in containers? Builds the image, lets Docker Compose start the server and two clients
# from the generated file, submits a pipeline from outside, kills a client, and submits again once it is back.
#
# Needs Debian, root and the package registries; exits with 77, and says why, where it cannot be tried. What it makes is
# kept in the folder that DFM_CONTAINERS names [target/containers], so that the next time takes a third.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
repository=$PWD
certificates=/etc/ssl/certs/ca-certificates.crt

cannot() {
    echo "NOT RUN: a federation in containers: $*" >&2
    exit 77
}
[ "$(id -u)" = 0 ] || cannot "only root may start them"
grep -qx 'ID=debian' /etc/os-release || cannot "this is not Debian, whose packages run them"
unshare --mount --net --uts --ipc true 2>/dev/null || cannot "this machine lets nobody make namespaces"

missing=()
for program in podman buildah crun netavark aardvark-dns debootstrap iptables; do
    [ -n "$(command -v "$program" || find /usr/lib/podman -name "$program" 2>/dev/null)" ] || missing+=("$program")
done
[ -f "$certificates" ] || missing+=(ca-certificates)
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

# Where limits cannot be raised and control groups are of both kinds, containers start only with these.
mkdir -p "${DFM_CONTAINERS:-target/containers}"
keep=$(cd "${DFM_CONTAINERS:-target/containers}" && pwd)
cat >"$keep/crun" <<'END'
#!/bin/sh
exec unshare -m --propagation=slave sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec /usr/bin/crun "$@"' crun "$@"
END
cat >"$keep/podman" <<END
#!/bin/sh
exec /usr/bin/podman --root $keep/pod --runroot $keep/podrun "\$@"
END
chmod +x "$keep/crun" "$keep/podman"
cat >"$keep/containers.conf" <<END
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
volumes = ["$certificates:$certificates:ro"]
[engine]
runtime = "local"
cgroup_manager = "cgroupfs"
compat_api_enforce_docker_hub = false
[engine.runtimes]
local = ["$keep/crun"]
[network]
network_backend = "netavark"
network_config_dir = "$keep/networks"
END
export CONTAINERS_CONF=$keep/containers.conf PATH=$keep:$repository/.venv/bin:$PATH

# No registry of images can be reached: Debian's own Python takes the place of the base image.
base=$(sed -n 's/^const PYTHON: &str = "\(.*\)";$/\1/p' crates/dfm-deploy/src/settings.rs)
if ! podman image exists "$base"; then
    echo "making the base image"
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # the variable is apt-get's
    mirror=$(apt-get indextargets --format '$(SITE)' "Release: $codename" | head -n 1)
    rm -rf "$keep/base"
    debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates \
        "$codename" "$keep/base" "$mirror" >"$keep/base.log" || { tail -n 30 "$keep/base.log" >&2 && exit 1; }
    tar -C "$keep/base" -c . | podman import - "$base" >/dev/null
    rm -rf "$keep/base"
fi

work=$(mktemp -d)
compose() { docker-compose --file "$work/examplefed/examplefed/deploy/docker/compose.yaml" --progress quiet "$@"; }
finish() {
    compose down --volumes >/dev/null 2>&1 || true
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    # What podman leaves mounted would keep the folder from being removed.
    umount "$keep/pod/overlay" 2>/dev/null || true
    rm -rf "$work"
}
# Compose speaks to podman as it would to Docker.
export DOCKER_HOST=unix://$work/engine.sock
podman system service --time 0 "$DOCKER_HOST" 2>"$keep/engine.log" &
engine=$!
trap finish EXIT

cp -R examples/examplefed examples/federations.yaml "$work"
cd "$work"
configs=examplefed/examplefed/configs
# A second client, which greets as the reception does.
cat >>$configs/federation.dfm.yaml <<'END'

  kitchen:
    info:
      description: Another Flare client
    interface:
      "#/operations/users.GreetMe":
        adapter: examplefed.lib.customer_service.GreetMeReception
        args:
          name:
            from-param: name
          venue:
            const: the kitchen
END
sed -i 's/^  - name: reception$/  - name: kitchen\n    type: client\n    org: examplefed\n&/' $configs/project.yaml
# Ports that nobody has.
read -r port admin_port < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in sockets))')
sed -i "s/: 8002$/: $port/; s/: 8003$/: $admin_port/" $configs/project.yaml
mkdir -p examplefed/wheels
cp "$repository"/target/wheels/*.whl examplefed/wheels
dfm --quiet fed gen code examplefed
dfm --quiet fed gen docker examplefed --force >/dev/null
dfm --quiet fed gen provision examplefed >/dev/null
# What the image installs, each file by its digest; then the image, which takes dfm from the folder of wheels.
build() {
    examplefed/examplefed/deploy/docker/build_image.sh --engine podman "$@" -- --isolation=chroot --network=host \
        --volume "$certificates:$certificates:ro" --env "PIP_CERT=$certificates" 2>"$keep/build.log" ||
        { tail -n 30 "$keep/build.log" >&2 && return 1; }
}
if build 2>/dev/null; then
    echo "an image is built without a lock" >&2 && exit 1
fi
lock=$(build --lock | tail -n 1)
grep -q "^data-federation-mesh==.* --hash=sha256:$(sha256sum examplefed/wheels/*.whl | cut -d ' ' -f 1)$" "$lock"
grep -q "^nvflare==2" "$lock"
image=$(build | tail -n 1)
# Nothing is installed that does not have the digest in the lock.
cp "$lock" "$lock.good"
sed -i "s/^\(nvflare==[^ ]* --hash=sha256:\)....../\1000000/" "$lock"
if build >/dev/null 2>&1; then
    echo "an image is built with a file that is not the one in the lock" >&2 && exit 1
fi
grep -qi "do not match" "$keep/build.log"
mv "$lock.good" "$lock"
echo "built $image"

# Waits until a site says that it is well. No timer of the engine's does, where there is no systemd.
well() {
    local deadline=$((SECONDS + 90)) container
    container=$(compose ps --quiet "$1")
    until podman exec "$container" run-site health 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || { compose logs "$1" >&2 && exit 1; }
        sleep 1
    done
    echo "$1 is well"
}
submit() {
    dfm fed submit examplefed --target flare --timeout 60 pipeline pipeline.py | tee said
    for answer in "reception desk at examplefed" "reception desk at the kitchen" "Hello from the server"; do
        grep -q "$answer" said
    done
}
cat >pipeline.py <<'END'
from dfm.api import Pipeline, Yield
from examplefed.fed.api.users import GreetMe


def get_pipeline(args=None):
    with Pipeline() as pipeline:
        Yield(value=GreetMe(site="reception", name="World"))
        Yield(value=GreetMe(site="kitchen", name="World"), place="second")
        Yield(value=GreetMe(site="server", name="World"), place="third")
    return pipeline
END

echo "audit: {parameters: digest}" >>workspace/examplefed/examplefed/prod_00/reception/local/policy.yaml
# Kits belong to whom containers run as, who is not root.
chown -R 1000:1000 workspace/examplefed/examplefed/prod_00
compose up --detach --no-build
for site in server reception kitchen; do well $site; done
submit
reception=$(compose ps --quiet reception)
of_reception() { podman inspect --format "{{.$1}}" "$reception"; }
kill -KILL "$(of_reception State.Pid)"
deadline=$((SECONDS + 60))
until [ "$(of_reception RestartCount)" -gt 0 ]; do
    [ $SECONDS -lt $deadline ] || { echo "the client does not come back" >&2 && exit 1; }
    sleep 1
done
well reception
submit
# In the container, the site's admin has the kit's commands, whose log has outlived the container's process.
compose exec -T reception dfm site requests list /workspace
[ "$(compose exec -T reception dfm --json site audit show /workspace | grep -c '"call"')" = 2 ]
compose exec -T reception dfm site audit verify /workspace
echo "3 passed, 0 failed"
