"""What belongs to the clinics federation?"""
