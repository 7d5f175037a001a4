package stripe

// SignalsApart tells that the card and the risk of an authorization come with an event of their own, charge.succeeded.
func (p *Provider) SignalsApart() bool { return true }
