package web

// Draw is the page on which the draw of an event is checked by the browser itself. It has nothing of one person.
func (p *Pages) Draw(l *Language, slug string) ([]byte, error) { return p.write(l, "draw", slug) }
