"""What belongs to the gradient federation?"""
