#!/bin/sh
# Installs the Debian 12 packages that are missing: `tests/deps.sh build` for building and the demo,
# `tests/deps.sh test` for everything that `make test` uses. Asks apt only when something is missing;
# changes nothing else of the system. As root directly, as a user through sudo.
set -eu

# package                      what for
build_packages="
gcc                            # the compiler
make                           # the build
pkg-config                     # flags of the libraries
libc6-dev                      # the C library's headers
libuv1-dev                     # event loop of the listeners
librdkafka-dev                 # Kafka producer, and the embedded broker of the demo
libpq-dev                      # PostgreSQL client
libssl-dev                     # TLS and digests
libinih-dev                    # configuration file
libjansson-dev                 # JSON of the control plane
libhttp-parser-dev             # HTTP/1.1
libxxhash-dev                  # checksums of the journal
libsystemd-dev                 # notify, watchdog, credentials
tzdata                         # days of patients in their zone
postgresql                     # private cluster of demo and tests; psql comes along
openssl                        # self-signed certificate of demo and tests
python3                        # demo and tests
kcat                           # foreign consumer of the topic
"
test_packages="
git                            # which files there are, for the lints
libcunit1-dev                  # unit tests
clang-format                   # the layout of sources, held by a lint
clang-19                       # fuzz targets
libclang-rt-19-dev             # libFuzzer and sanitizers for clang
libcbor-dev                    # the other opinion of the CBOR fuzz target
python3-cbor2                  # foreign encoder of CBOR
openjdk-17-jre-headless        # Apache Kafka
openjdk-17-jdk-headless        # the compiler for the few lines around HAPI's validator of FHIR
maven                          # fetches Apache Kafka and HAPI as tests/*/pom.xml pin them
ca-certificates-java           # certificates that maven checks with
python3-confluent-kafka        # second foreign consumer of the topic
python3-psycopg2               # foreign reader of PostgreSQL
curl                           # foreign HTTP client
mosquitto-clients              # foreign MQTT clients: mosquitto_pub, mosquitto_sub
libdlt2                        # of mosquitto's broker, which is only unpacked (below)
libwrap0                       # of the same
libcap2                        # of the same
python3-paho-mqtt              # second foreign MQTT client
python3-hl7                    # foreign HL7 v2 client over MLLP
libseccomp-dev                 # the system calls of the unit, around the daemon of the tests
systemd                        # systemd-analyze: score of the unit, its groups of system calls
strace                         # shows what is synced before what is answered
iproute2                       # ss: sockets that a failing test left open
universal-ctags                # function lengths for the lints
"
# The demo takes a real broker with KAFKA=real: these few of the above.
kafka_packages="
openjdk-17-jre-headless        # Apache Kafka
maven                          # fetches Apache Kafka as tests/kafka/pom.xml pins it
ca-certificates-java           # certificates that maven checks with
python3-confluent-kafka        # waits until a record has gone through the broker
"

case "${1:-test}" in
build) wanted=$build_packages ;;
kafka) wanted="$build_packages$kafka_packages" ;;
test) wanted="$build_packages$test_packages" ;;
*) echo "deps.sh: found $1, expected build, kafka or test" >&2; exit 64 ;;
esac

is_installed()
{
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -q '^installed$'
}

missing=
for package in $(printf '%s\n' "$wanted" | sed 's/#.*//'); do
    is_installed "$package" || missing="$missing $package"
done
broker=$(dirname "$0")/../build/mosquitto  # the program that the tests start
needs_broker=
[ "${1:-test}" != test ] || [ -x "$broker/usr/sbin/mosquitto" ] || needs_broker=yes
[ -n "$missing$needs_broker" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "deps.sh: missing:$missing; run as root or install sudo" >&2; exit 69; }
    as_root=sudo
fi

# Debian creates and starts a cluster when postgresql is first installed; ours are private ones below build/.
case " $missing " in
*" postgresql "*)
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        $as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi ;;
esac

install_missing()
{
    echo "installing:$missing"
    $as_root apt-get -q update
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold install $missing
}

# The package of mosquitto's broker would make a user and start a service: the tests start brokers of their own from
# what is unpacked below build/.
unpack_broker()
{
    rm -rf "$broker"
    mkdir -p "$broker"
    (
        cd "$broker"
        apt-get -q -o APT::Sandbox::User=root download mosquitto || {
            $as_root apt-get -q update
            apt-get -q -o APT::Sandbox::User=root download mosquitto
        }
        dpkg -x mosquitto_*.deb .
    )
}

[ -z "$missing" ] || install_missing
[ -z "$needs_broker" ] || unpack_broker
