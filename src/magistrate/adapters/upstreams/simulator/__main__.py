"""``python -m magistrate.adapters.upstreams.simulator --port N``."""

from magistrate.adapters.upstreams.simulator.server import main

main()
