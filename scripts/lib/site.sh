# Shell functions for companies' sites in a lab, out of what nobody here wrote: strongSwan, FRR, dnsmasq, SQLite. Each daemon has
# folders of its own below $scratch and ends with the story. Sourced after story.sh and operator.sh.
# shellcheck shell=bash

# beside NAME NODE COMMAND...: a daemon in a node, with a /run of its own; what it says is kept in $scratch/NAME/log.
beside() {
    local name=$1 node=$2
    shift 2
    mkdir -p "$scratch/$name/run"
    # shellcheck disable=SC2016 # The inner shell's own arguments.
    netvirt lab exec --lab "$lab" "$node" -- unshare --mount --propagation private \
        sh -c 'mount --bind "$0/run" /run && exec "$@"' "$scratch/$name" "$@" </dev/null >"$scratch/$name/log" 2>&1 &
    running+=($!)
    # The shell has nothing to say when it ends.
    disown
}

# eventually COMMAND...: within some seconds it ends well.
eventually() {
    for _ in $(seq 100); do
        "$@" && return
        sleep 0.2
    done
    fail "\"$*\" does not come about"
}

# listens NODE PORT: whether a server is there.
listens() { quietly "$1" busybox netstat -ltn 2>/dev/null | grep -q ":$2 "; }

# strongswan SITE ADDRESS KEY: charon at a site, which waits for the cloud to open a tunnel with this key. What may go through it
# is everything; what does is said by routes.
strongswan() {
    local site=$1 address=$2 key=$3 folder=$scratch/$1-strongswan
    mkdir -p "$folder"
    cat >"$folder/strongswan.conf" <<END
charon {
  load = random nonce openssl curve25519 pem pkcs1 x509 pubkey hmac kdf gcm aes sha1 sha2 constraints kernel-libipsec kernel-netlink socket-default vici updown
  routing_table_prio = 40000
  plugins {
    vici { socket = unix://$folder/run/charon.vici }
    kernel-netlink { fwmark = !0x42 }
    socket-default { fwmark = 0x42 }
    kernel-libipsec { allow_peer_ts = yes }
  }
  filelog { stderr { default = 1
    flush_line = yes } }
}
END
    cat >"$folder/swanctl.conf" <<END
connections {
  cloud {
    version = 2
    local_addrs = $address
    encap = yes
    dpd_delay = 2s
    proposals = aes256gcm16-prfsha384-ecp384
    local { auth = psk
      id = $address }
    remote { auth = psk
      id = %any }
    children { cloud { local_ts = 0.0.0.0/0
      remote_ts = 0.0.0.0/0
      esp_proposals = aes256gcm16-ecp384 } }
  }
}
secrets { ike-cloud { secret = "$key" } }
END
    beside "$site-strongswan" "$site" env STRONGSWAN_CONF="$folder/strongswan.conf" /usr/lib/ipsec/charon
    eventually test -S "$folder/run/charon.vici"
    swanctl_at "$site" --load-all --file "$folder/swanctl.conf" >"$folder/loaded" 2>&1 ||
        fail "strongSwan at $site does not take its configuration: $(cat "$folder/loaded")"
}

# swanctl_at SITE ARGUMENTS...: swanctl, as the site's administrator runs it.
swanctl_at() {
    local site=$1 folder=$scratch/$1-strongswan
    shift
    quietly "$site" env STRONGSWAN_CONF="$folder/strongswan.conf" swanctl "$@" --uri "unix://$folder/run/charon.vici"
}

# frr SITE AS NEIGHBOR THEIR-AS PREFIX: zebra and bgpd at a site, which announce a prefix to the neighbor.
frr() {
    local site=$1 own_as=$2 neighbor=$3 their_as=$4 prefix=$5 folder=$scratch/$1-frr
    mkdir -p "$folder/run/frr"
    chown frr:frr "$folder/run/frr"
    cat >"$folder/run/bgpd.conf" <<END
log stdout
router bgp $own_as
 bgp router-id ${prefix%.*}.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor $neighbor remote-as $their_as
 neighbor $neighbor timers 3 9
 neighbor $neighbor timers connect 1
 address-family ipv4 unicast
  network $prefix
 exit-address-family
END
    echo 'log stdout' >"$folder/run/zebra.conf"
    chmod 644 "$folder"/run/*.conf
    beside "$site-frr" "$site" /usr/lib/frr/zebra -f /run/zebra.conf -P 0 -z /run/frr/zserv.api -i /run/frr/zebra.pid
    eventually test -S "$folder/run/frr/zserv.api"
    beside "$site-frr" "$site" /usr/lib/frr/bgpd -f /run/bgpd.conf -P 0 -z /run/frr/zserv.api -i /run/frr/bgpd.pid
    eventually test -S "$folder/run/frr/bgpd.vty"
}

# dns NODE ZONE ARGUMENTS...: dnsmasq on a server, which answers for a zone alone; arguments are dnsmasq's.
dns() {
    local node=$1 zone=$2
    shift 2
    beside "$node-dnsmasq" "$node" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
        --pid-file= --log-facility=- "--local=/$zone/" "$@"
}

# sql NODE STATEMENTS: SQLite on a server, at port 1433, with a database that these statements make.
sql() {
    local node=$1 statements=$2
    sqlite3 "$scratch/$node.db" "$statements" || fail "SQLite does not take: $statements"
    beside "$node-sql" "$node" busybox nc -ll -p 1433 -e sqlite3 "$scratch/$node.db"
    eventually listens "$node" 1433
}

# page NODE PORT TEXT: a web server at a node; its page says this, and whom it sees.
page() {
    local node=$1 port=$2 text=$3 folder=$scratch/$1-web
    mkdir -p "$folder/cgi-bin"
    printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\n%s\n' "$text" >"$folder/cgi-bin/index.cgi"
    chmod 755 "$folder/cgi-bin/index.cgi"
    beside "$node-web" "$node" busybox httpd -f -p "0.0.0.0:$port" -h "$folder"
    eventually listens "$node" "$port"
}
