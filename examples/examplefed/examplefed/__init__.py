"""What belongs to the greeting federation?"""
