"""What is read: boards, pages, citations, studies, lines on the terminal."""
