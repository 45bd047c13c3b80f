# Every task of the project. CONTRIBUTING.md says when to use which; scripts/tools says what gets installed.

# What `make tools` puts into this clone comes first; the lab's programs may be where only root looks.
export PATH := $(CURDIR)/.tools/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin

PREFIX ?= /usr/local
target := $(abspath $(or $(CARGO_TARGET_DIR),target))

.PHONY: help tools build test demo demo-by-hand bench bench-migration bench-gateway bench-failover bench-console profile screenshots install audit clean

help:
	@echo 'make demo      install what is missing, build, and tell the tour: a network at a controller (root)'
	@echo 'make demo VM=1   the same with VMs that have kernels of their own, one of which moves while it runs (root)'
	@echo 'make demo GATEWAY=1   the tour of gateways: two companies with the same addresses, their VPNs, BGP, DNS and NAT (root)'
	@echo 'make demo-by-hand   the same for the story of Blue and Red: two hosts without a controller (root)'
	@echo 'make test      install what is missing, check style and licences, run every test (root)'
	@echo 'make bench     measure netvirt beside its peers, then a controller with 100,000 ports (root);'
	@echo '               ARGS="..." and FABRIC_ARGS="..." go to the two'
	@echo 'make bench-migration   guests that move under load, netvirt beside kernel VXLAN (root); ARGS="..."'
	@echo 'make bench-gateway   gateways beside plain routers and VPN daemons alone, and 100 tenants on one (root); ARGS="..."'
	@echo 'make bench-failover   gateways whose active host dies, loses a link or is drained: outages, connections (root); ARGS="..."'
	@echo 'make bench-console   the pages of the console with 10,000 ports: how large, how long on the server'
	@echo 'make profile   where the nanoseconds of a packet go, per BPF program and helper (root); ARGS="..."'
	@echo 'make screenshots   take a picture of every page of the console into docs/screenshots (root)'
	@echo 'make build     the release build: $(target)/release/netvirt'
	@echo 'make install   put netvirt into $$DESTDIR$$PREFIX/bin (PREFIX is $(PREFIX))'
	@echo 'make tools     install what building, testing and the demo need; says what it does'
	@echo 'make audit     ask the RustSec database about the dependencies (network)'
	@echo 'make clean     remove what was built here'

tools:
	scripts/tools

build:
	scripts/tools build
	cargo build --release --locked

test:
	@[ "$$(id -u)" = 0 ] || { echo 'make test needs root: the tests load kernel programs and make network namespaces' >&2; exit 1; }
	scripts/tools
	cargo fmt --all --check
	cargo fmt --check --manifest-path ebpf/Cargo.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings -D clippy::too_many_lines
	cargo deny --log-level error check licenses bans sources
	cargo deny --log-level error --manifest-path ebpf/Cargo.toml --config deny.toml check licenses bans sources
	@echo 'advisories are not checked here, since their database is fetched over the network: "make audit" does'
	cargo test --workspace --doc --locked --quiet
	cargo build -p netvirt --locked
	cargo nextest run --workspace --locked

demo:
	scripts/tools build lab
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" ./scripts/demo$(if $(VM),-vm,$(if $(GATEWAY),-gateway))

demo-by-hand:
	scripts/tools build lab
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" ./scripts/demo-by-hand

bench:
	scripts/tools build lab
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" cargo run --release --locked -p benches -- $(ARGS)
	PATH="$(target)/release:$$PATH" cargo run --release --locked -p benches --bin fabric -- $(FABRIC_ARGS)

bench-console:
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" scripts/bench-console $(ARGS)

bench-failover:
	scripts/tools build lab
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" cargo run --release --locked -p benches --bin failover -- $(ARGS)

bench-migration:
	scripts/tools build lab
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" cargo run --release --locked -p benches --bin migration -- $(ARGS)

bench-gateway:
	scripts/tools build lab
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" cargo run --release --locked -p benches --bin gateway -- $(ARGS)

profile:
	scripts/tools build lab
	cargo build --release --locked
	PATH="$(target)/release:$$PATH" cargo run --release --locked -p benches --bin profile -- $(ARGS)

screenshots:
	scripts/tools
	cargo build -p netvirt -p tests --bin netvirt --example screenshots --locked
	NETVIRT_LAB=rack "$(target)/debug/examples/screenshots" docs/screenshots

install: build
	install -D -m 755 $(target)/release/netvirt $(DESTDIR)$(PREFIX)/bin/netvirt

audit:
	scripts/tools test
	cargo deny check advisories
	cargo deny --manifest-path ebpf/Cargo.toml --config deny.toml check advisories

clean:
	cargo clean
	rm -rf .tools ebpf/target
