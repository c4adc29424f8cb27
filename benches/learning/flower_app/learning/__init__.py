"""How do three clinics fit one model to the tumours of all, on Flower?"""
