package r4

import "iter"

// LinkURL returns the URL of the link with that relation, "next" or "self"; empty if there is none.
func (x *Bundle) LinkURL(relation string) string {
	if x != nil {
		for i := range x.Link {
			if x.Link[i].Relation == relation {
				return x.Link[i].URL
			}
		}
	}
	return ""
}

// Resources goes through the resources of the entries, those that a search includes and the outcomes among them.
// [BundleEntrySearch] tells which is which.
func (x *Bundle) Resources() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		if x == nil {
			return
		}
		for i := range x.Entry {
			if r := x.Entry[i].Resource; r != nil && !yield(r) {
				return
			}
		}
	}
}
