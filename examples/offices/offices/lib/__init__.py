"""Which adapters do the sites run?"""
