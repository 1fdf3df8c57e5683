"""Published saliency networks, written anew, and one of our own."""
