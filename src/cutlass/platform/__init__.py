"""The whole platform on one machine: the emulator, the gateways, the consumers, the replicator."""
