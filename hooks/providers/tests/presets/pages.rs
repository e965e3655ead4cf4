//! The pages of the guide, and the table of contents.
