"""What belongs to the offices federation?"""
