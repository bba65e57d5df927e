"""What the decks draw themselves: one function a picture, its title its words."""
