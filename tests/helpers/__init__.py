"""What tests share: oracles, peers, networks, scenes; `from helpers import engine_oracle`."""
