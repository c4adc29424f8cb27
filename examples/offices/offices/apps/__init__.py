"""Which programs does the application's user start?"""
