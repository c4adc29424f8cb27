"""Which applications does the federation have?"""
