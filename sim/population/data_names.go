package population

// The family names and places are made up so that a record is seen to be synthetic; the given
// names are ordinary.
var (
	familyNames = []string{
		"Alderwick", "Ashgrove", "Bellwether", "Birchwell", "Brackenridge", "Bramblewood", "Brightwater", "Cinderford",
		"Clearbrook", "Coppergate", "Cresthaven", "Dawnhollow", "Driftwood", "Duskwell", "Elmsworth", "Emberlin",
		"Fairmeadow", "Fernhollow", "Flintlock", "Foxbarrow", "Glenmarch", "Goldencrest", "Greyfallow", "Harrowgate",
		"Hawthornby", "Hazelrigg", "Hearthwright", "Highmoor", "Hollowell", "Ironwood", "Ivorydale", "Juniperson",
		"Kestrelman", "Kindleton", "Lanternby", "Larkspur", "Lindenmere", "Longbarrow", "Maplethorpe", "Marshgate",
		"Meadowlark", "Millbrooke", "Moorcastle", "Nightingham", "Northlake", "Oakhurst", "Orchardson", "Pebblewick",
		"Pinecroft", "Quarrymoor", "Quillfeather", "Ravenscar", "Redfernley", "Riverstone", "Rowanwood", "Saltmere",
		"Silverbirch", "Snowfield", "Stonebridge", "Summerfall", "Sycamoor", "Tallowmere", "Thistledown", "Thornbury",
		"Timberlake", "Underhill", "Valewright", "Violetson", "Waterford", "Weatherby", "Westering", "Whitlocke",
		"Wildwood", "Willowby", "Windermoor", "Winterbourne", "Woodsmoke", "Yarrowby", "Yewcombe", "Zephyrson",
	}
	femaleNames = []string{
		"Ada", "Amara", "Beatrix", "Carmen", "Clara", "Dalia", "Edith", "Elena", "Esme", "Fatima", "Freya", "Grace",
		"Hana", "Ines", "Iris", "Jade", "Keiko", "Leila", "Lucia", "Mabel", "Maya", "Mina", "Nadia", "Nora",
		"Opal", "Paloma", "Petra", "Priya", "Rosa", "Ruth", "Sofia", "Tamsin", "Thea", "Uma", "Vera", "Yara",
	}
	maleNames = []string{
		"Aaron", "Abel", "Amir", "Andre", "Arlo", "Basil", "Caleb", "Carlos", "Cyrus", "Dario", "Dev", "Elias",
		"Emil", "Enzo", "Felix", "Gideon", "Hugo", "Idris", "Ivan", "Jonah", "Kai", "Kofi", "Leo", "Luca",
		"Malik", "Mateo", "Milo", "Nico", "Omar", "Oscar", "Pavel", "Quentin", "Rafael", "Silas", "Tomas", "Yusuf",
	}
	streets = []string{"Andiron Way", "Bellows Lane", "Chimney Court", "Ember Street", "Fender Road", "Flue Avenue", "Hearth Street", "Kindling Drive", "Mantel Place", "Poker Alley", "Tongs Terrace", "Trivet Close"}
	// towns carry ZIP codes that the postal service has not assigned.
	towns = []struct{ city, county, zip string }{
		{"Hearthstone", "HEARTH", "00001"}, {"Cinder Falls", "HEARTH", "00002"}, {"Ember Grove", "CINDER", "00003"}, {"Ashby Hills", "CINDER", "00004"}, {"Kindle Bay", "LANTERN", "00009"},
	}
)

// races and ethnicities in the OMB categories, with weights of roughly the US population.
var (
	races = []struct {
		code, text string
		weight     int
	}{
		{"2106-3", "White", 60},
		{"2054-5", "Black or African American", 14},
		{"2028-9", "Asian", 7},
		{"1002-5", "American Indian or Alaska Native", 2},
		{"2076-8", "Native Hawaiian or Other Pacific Islander", 1},
		{"UNK", "Unknown", 16},
	}
	ethnicities = []struct {
		code, text string
		weight     int
	}{
		{"2186-5", "Not Hispanic or Latino", 78}, {"2135-2", "Hispanic or Latino", 18}, {"", "Unknown", 4},
	}
)
