#!/usr/bin/env bash
# The network of the cluster in our own engine, on a bridge with a name. Nothing of the cluster leaves this machine:
# what would be forwarded from that bridge to anywhere else is rejected, so that tests are quiet and fail fast.
. "$(dirname "$0")/common.sh"
use_engine
docker network inspect "$NETWORK" > /dev/null 2>&1 \
  || docker network create "$NETWORK" --driver bridge --opt "com.docker.network.bridge.name=$NETWORK" \
       --opt com.docker.network.driver.mtu=1400 > /dev/null
# the engine makes this chain with a network, and not where it finds the network again after the machine's restart
iptables --numeric --list DOCKER-USER > /dev/null 2>&1 || iptables --new-chain DOCKER-USER
iptables --check FORWARD --jump DOCKER-USER 2>/dev/null || iptables --insert FORWARD --jump DOCKER-USER
reject=(DOCKER-USER --in-interface "$NETWORK" ! --out-interface "$NETWORK" --jump REJECT)
iptables --check "${reject[@]}" 2>/dev/null || iptables --insert "${reject[@]}"
