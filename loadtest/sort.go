package loadtest

// sort is what is special about an honest buyer, and must not be held against them.
type sort uint8

const (
	sortUsual    sort = iota
	sortNAT           // behind one address with all others of the kind
	sortOldPhone      // a browser that leaves headers out
	sortRoaming       // comes from another network when it is called
	sortNoScript      // a page without script, loaded anew at even intervals
)

// oneIn is how many buyers there are to one of each special sort.
const oneIn = 8

// roamsBy is how many addresses further on a roaming buyer turns up again.
const roamsBy = 7919

// sortOf is the sort of the buyer of an index.
func sortOf(p BuyersPlan, index int) sort {
	if s := sort(index % oneIn); p.Mixed && s <= sortNoScript {
		return s
	}
	return sortUsual
}
