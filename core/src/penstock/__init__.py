"""penstock: call language models well. Gates in front, a pipeline behind, gauges everywhere."""
