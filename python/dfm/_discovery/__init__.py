"""How sites tell which values operations may take, and what an application sees of it."""
