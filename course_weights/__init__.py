"""The second shelf of weights: course_utils.models finds it by its place."""
