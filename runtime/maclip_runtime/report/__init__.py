"""Results as pictures and pages: quality maps, reports and plots."""
