"""What belongs to the stations federation?"""
