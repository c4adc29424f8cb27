"""How does a federation run on NVIDIA FLARE? Nothing else in dfm imports NVFlare."""
