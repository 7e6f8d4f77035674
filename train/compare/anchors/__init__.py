"""What `huse compare` holds the towers against: classical methods of scikit-learn, on the same features."""
