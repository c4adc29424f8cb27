#!/usr/bin/env bash
# Does the generated image run a federation for real? Builds it, starts the server and two clients as containers on
# one network, submits a pipeline from outside, kills a client, and submits again once it is back.
#
# Needs Debian, root and the package registries; takes five minutes the first time. What it makes is kept in the folder
# that DFM_CONTAINERS names [target/containers], so that the next time takes two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
repository=$PWD
keep=$(mkdir -p "${DFM_CONTAINERS:-target/containers}" && cd "${DFM_CONTAINERS:-target/containers}" && pwd)
dfm=$repository/.venv/bin/dfm
certificates=/etc/ssl/certs/ca-certificates.crt

for program in podman buildah crun netavark aardvark-dns debootstrap iptables; do
    missing=${missing:-}
    [ -n "$(command -v "$program" || find /usr/lib/podman -name "$program" 2>/dev/null)" ] || missing+=" $program"
done
if [ -n "$missing" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
fi

# Where limits cannot be raised and control groups are of both kinds, containers start only with these.
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
[engine.runtimes]
local = ["$keep/crun"]
END
export CONTAINERS_CONF=$keep/containers.conf PATH=$keep:$repository/.venv/bin:$PATH

# No registry of images can be reached: Debian's own Python takes the place of the base image.
base=$(sed -n 's/^ARG PYTHON_IMAGE=//p' crates/dfm-deploy/templates/docker/Dockerfile)
if ! podman image exists "$base"; then
    debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates bookworm "$keep/base" >/dev/null
    tar -C "$keep/base" -c . | podman import - "$base" >/dev/null
    rm -rf "$keep/base"
fi

work=$(mktemp -d)
finish() {
    podman rm --force dfm-test-server dfm-test-reception dfm-test-kitchen >/dev/null 2>&1 || true
    podman network rm --force dfm-test >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
cp -R examples/examplefed examples/federations.yaml "$work"
# A second client, which greets as the reception does.
configs=$work/examplefed/examplefed/configs
cat >>"$configs/federation.dfm.yaml" <<'END'

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
sed -i 's/^  - name: reception$/  - name: kitchen\n    type: client\n    org: examplefed\n&/' "$configs/project.yaml"
mkdir -p "$work/examplefed/wheels"
cp target/wheels/*.whl "$work/examplefed/wheels"
cd "$work"
"$dfm" --quiet fed gen code examplefed
"$dfm" --quiet fed gen docker examplefed --force >/dev/null
"$dfm" --quiet fed gen provision examplefed >/dev/null
image=$(examplefed/examplefed/deploy/docker/build_image.sh --engine podman -- --isolation=chroot --network=host \
    --volume "$certificates:$certificates:ro" --env "PIP_CERT=$certificates" 2>"$keep/build.log" | tail -n 1) ||
    { tail -n 30 "$keep/build.log" >&2 && exit 1; }
echo "built $image"

start() {
    podman run --detach --name "dfm-test-$1" --network-alias "$1" --network dfm-test --no-healthcheck \
        --user "$(id -u):$(id -g)" --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
        --env "DFM_SITE=$1" --volume "$work/workspace/examplefed/examplefed/prod_00/$1:/kit:ro" "${@:2}" "$image" >/dev/null
}
# Waits until a site says that it is well.
well() {
    local deadline=$((SECONDS + 60))
    until podman exec "dfm-test-$1" run-site health 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || { podman logs "dfm-test-$1" >&2 && exit 1; }
        sleep 1
    done
    echo "$1 is well"
}
submit() {
    "$dfm" fed submit examplefed --target flare --timeout 60 pipeline "$work/pipeline.py" | tee "$work/said"
    for answer in "reception desk at examplefed" "reception desk at the kitchen" "Hello from the server"; do
        grep -q "$answer" "$work/said"
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

podman network create dfm-test >/dev/null
workspaces=(--tmpfs "/workspace:mode=1777")
start server "${workspaces[@]}" --publish 127.0.0.1:8002:8002 --publish 127.0.0.1:8003:8003
start reception "${workspaces[@]}" --env DFM_SERVER_ADDRESS=server:8002
start kitchen "${workspaces[@]}" --env DFM_SERVER_ADDRESS=server:8002
well server
well reception
well kitchen
submit
podman kill dfm-test-reception >/dev/null
podman start dfm-test-reception >/dev/null
well reception
submit
echo "2 passed, 0 failed"
