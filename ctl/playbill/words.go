package playbill

// place is a city with what its events share.
type place struct {
	city, country, zone, currency string
	venues                        []string
}

var places = []place{
	{"Valencia", "ES", "Europe/Madrid", "EUR", []string{"Arena del Puerto", "Teatro Olympia", "Palau de la Música", "Sala Jerusalem"}},
	{"Madrid", "ES", "Europe/Madrid", "EUR", []string{"Teatro Real", "Sala Caracol", "Palacio Vistalegre", "Café Berlín"}},
	{"Sevilla", "ES", "Europe/Madrid", "EUR", []string{"Teatro Lope de Vega", "Sala Custom", "Plaza de España"}},
	{"Málaga", "ES", "Europe/Madrid", "EUR", []string{"Teatro Cervantes", "La Cochera", "Auditorio Cortijo"}},
	{"Lisbon", "PT", "Europe/Lisbon", "EUR", []string{"The Cellar", "Coliseu", "Casa da Música", "Jardim da Torre"}},
	{"Porto", "PT", "Europe/Lisbon", "EUR", []string{"Hard Club", "Teatro Rivoli", "Super Bock Hall"}},
	{"Paris", "FR", "Europe/Paris", "EUR", []string{"Salle Pleyel", "La Cigale", "Théâtre du Châtelet", "Zénith", "Le Trianon"}},
	{"Lyon", "FR", "Europe/Paris", "EUR", []string{"Halle Tony Garnier", "Le Transbordeur", "Opéra de Lyon"}},
	{"Besançon", "FR", "Europe/Paris", "EUR", []string{"La Rodia", "Théâtre Ledoux"}},
	{"Berlin", "DE", "Europe/Berlin", "EUR", []string{"Astra Kulturhaus", "Columbiahalle", "Volksbühne", "Philharmonie", "Gretchen"}},
	{"München", "DE", "Europe/Berlin", "EUR", []string{"Zenith", "Muffathalle", "Prinzregententheater", "Olympiahalle"}},
	{"Köln", "DE", "Europe/Berlin", "EUR", []string{"E-Werk", "Gloria-Theater", "Kölner Philharmonie"}},
	{"Hamburg", "DE", "Europe/Berlin", "EUR", []string{"Große Freiheit", "Thalia Theater", "Elbhalle", "Knust"}},
	{"Leipzig", "DE", "Europe/Berlin", "EUR", []string{"Gewandhaus", "Täubchenthal", "Werk 2"}},
	{"Graz", "AT", "Europe/Vienna", "EUR", []string{"City Hall", "Orpheum", "Dom im Berg"}},
	{"Wien", "AT", "Europe/Vienna", "EUR", []string{"Konzerthaus", "Arena Wien", "Burgtheater", "Stadthalle"}},
	{"Zürich", "CH", "Europe/Zurich", "CHF", []string{"Tonhalle", "Kaufleuten", "Rote Fabrik", "Schauspielhaus"}},
	{"Genève", "CH", "Europe/Zurich", "CHF", []string{"Victoria Hall", "L'Usine", "Grand Théâtre"}},
	{"Amsterdam", "NL", "Europe/Amsterdam", "EUR", []string{"Paradiso", "Melkweg", "Concertgebouw", "Carré"}},
	{"Rotterdam", "NL", "Europe/Amsterdam", "EUR", []string{"De Doelen", "Maassilo", "Ahoy"}},
	{"Bruxelles", "BE", "Europe/Brussels", "EUR", []string{"Ancienne Belgique", "Botanique", "Bozar"}},
	{"København", "DK", "Europe/Copenhagen", "DKK", []string{"Vega", "Det Ny Teater", "Pumpehuset", "Øksnehallen"}},
	{"Malmö", "SE", "Europe/Stockholm", "SEK", []string{"Slagthuset", "Malmö Live", "Kulturbolaget"}},
	{"Stockholm", "SE", "Europe/Stockholm", "SEK", []string{"Cirkus", "Berns", "Konserthuset", "Debaser"}},
	{"Oslo", "NO", "Europe/Oslo", "NOK", []string{"Sentrum Scene", "Rockefeller", "Den Norske Opera"}},
	{"Tromsø", "NO", "Europe/Oslo", "NOK", []string{"Driv", "Kulturhuset"}},
	{"Helsinki", "FI", "Europe/Helsinki", "EUR", []string{"Tavastia", "Musiikkitalo", "Savoy-teatteri"}},
	{"Warszawa", "PL", "Europe/Warsaw", "PLN", []string{"Stodoła", "Teatr Wielki", "Progresja", "Palladium"}},
	{"Łódź", "PL", "Europe/Warsaw", "PLN", []string{"Wytwórnia", "Teatr Jaracza", "Atlas Hall"}},
	{"Kraków", "PL", "Europe/Warsaw", "PLN", []string{"Klub Studio", "Teatr Słowackiego", "Kwadrat"}},
	{"Praha", "CZ", "Europe/Prague", "CZK", []string{"Lucerna", "Rudolfinum", "Palác Akropolis"}},
	{"Budapest", "HU", "Europe/Budapest", "HUF", []string{"Akvárium Klub", "Müpa", "Dürer Kert", "Vígszínház"}},
	{"Milano", "IT", "Europe/Rome", "EUR", []string{"Alcatraz", "Teatro degli Arcimboldi", "Blue Note"}},
	{"Roma", "IT", "Europe/Rome", "EUR", []string{"Auditorium Parco", "Teatro Argentina", "Atlantico"}},
	{"Napoli", "IT", "Europe/Rome", "EUR", []string{"Teatro Augusteo", "Casa della Musica"}},
	{"Athens", "GR", "Europe/Athens", "EUR", []string{"Gagarin", "Megaron", "Theatro Petras"}},
	{"London", "GB", "Europe/London", "GBP", []string{"Roundhouse", "Union Chapel", "Wigmore Rooms", "Brixton Hall", "The Old Vic Cellar"}},
	{"Manchester", "GB", "Europe/London", "GBP", []string{"Albert Hall", "Band on the Wall", "Gorilla", "Bridgewater Hall"}},
	{"Glasgow", "GB", "Europe/London", "GBP", []string{"Barrowland", "King Tut's", "Òran Mór"}},
	{"Cardiff", "GB", "Europe/London", "GBP", []string{"Clwb Ifor Bach", "St David's Hall"}},
	{"Dublin", "IE", "Europe/Dublin", "EUR", []string{"Vicar Street", "Whelan's", "The Abbey"}},
	{"Reykjavík", "IS", "Atlantic/Reykjavik", "ISK", []string{"Harpa", "Gamla Bíó"}},
	{"New York", "US", "America/New_York", "USD", []string{"Bowery Room", "Town Hall", "Brooklyn Steelyard", "Village Cellar", "Apollo Stage"}},
	{"Chicago", "US", "America/Chicago", "USD", []string{"Thalia Hall", "Metro", "Lincoln Hall"}},
	{"Austin", "US", "America/Chicago", "USD", []string{"Mohawk", "Moody Stage", "Continental Room"}},
	{"Los Angeles", "US", "America/Los_Angeles", "USD", []string{"The Wiltern", "Troubadour", "Hollywood Shell"}},
	{"Montréal", "CA", "America/Toronto", "CAD", []string{"MTELUS", "Théâtre Corona", "Maison symphonique"}},
	{"Toronto", "CA", "America/Toronto", "CAD", []string{"Massey Hall", "Danforth", "Horseshoe"}},
	{"México", "MX", "America/Mexico_City", "MXN", []string{"Teatro Metropólitan", "Foro Indie", "Auditorio Nacional"}},
	{"São Paulo", "BR", "America/Sao_Paulo", "BRL", []string{"Audio", "Cine Joia", "Teatro Municipal"}},
	{"Buenos Aires", "AR", "America/Argentina/Buenos_Aires", "USD", []string{"Teatro Gran Rex", "Niceto", "Luna Park"}},
	{"Tokyo", "JP", "Asia/Tokyo", "JPY", []string{"Liquidroom", "Blue Note Aoyama", "Suntory Rooms", "Shibuya O-East"}},
	{"Sydney", "AU", "Australia/Sydney", "AUD", []string{"Enmore Theatre", "Metro Theatre", "Opera House Studio"}},
	{"Melbourne", "AU", "Australia/Melbourne", "AUD", []string{"The Forum", "Corner Hotel", "Recital Centre"}},
	{"Auckland", "NZ", "Pacific/Auckland", "NZD", []string{"Powerstation", "Town Hall", "Q Theatre"}},
}

// scale is what one euro's worth is in a currency, to give prices that look right there.
var scale = map[string]float64{
	"EUR": 1, "CHF": 1, "GBP": 0.9, "USD": 1.1, "CAD": 1.5, "AUD": 1.6, "NZD": 1.8, "DKK": 7.5, "SEK": 11, "NOK": 11, "PLN": 4.3, "CZK": 25,
	"HUF": 390, "ISK": 150, "MXN": 20, "BRL": 6, "JPY": 160,
}

// genre is a kind of event: its category and how its names are made.
type genre struct {
	category  string
	weight    int
	titles    []string // %s is a performer
	tags      []string
	low, high float64 // euros
	group     []string
}

var genres = []genre{
	{"concert", 40, []string{"%s", "%s live", "%s: the winter tour", "%s unplugged", "An evening with %s", "%s and friends"},
		[]string{"rock", "pop", "indie", "jazz", "electronic", "folk", "soul", "hip hop", "metal", "acoustic"}, 12, 120,
		[]string{"Trio", "Quartet", "Band", "Collective", "Orchestra", "Sound System", "Ensemble"}},
	{"classical", 10, []string{"%s plays Brahms", "%s: Ein Sommernachtstraum", "Requiem with %s", "%s and the Goldberg Variations", "%s: Dvořák and Janáček"},
		[]string{"symphony", "chamber music", "baroque", "organ", "choir"}, 15, 95, []string{"Quartett", "Philharmonia", "Choir", "Sinfonietta"}},
	{"theatre", 14, []string{"The Cherry Orchard", "A Doll's House", "Yerma", "Antigone", "Waiting Room No. 6", "La Ronde", "Mother Courage", "The Seagull, with %s"},
		[]string{"drama", "premiere", "classic", "new writing", "with surtitles"}, 14, 80, []string{"Company", "Players"}},
	{"comedy", 10, []string{"%s: Work in Progress", "%s: Nobody Asked", "Late Laughs with %s", "%s: Sit Down"},
		[]string{"stand-up", "improv", "english", "open mic"}, 8, 45, []string{"& Co"}},
	{"opera", 3, []string{"La Traviata", "Le nozze di Figaro", "Così fan tutte", "Rusalka", "Tosca, with %s"},
		[]string{"opera", "premiere", "matinee"}, 25, 190, []string{"Opera"}},
	{"dance", 5, []string{"%s: Silent Bodies", "Swan Lake", "%s: Tierra", "Nutcracker", "%s: Nachtstück"},
		[]string{"ballet", "contemporary", "flamenco", "tango"}, 15, 90, []string{"Dance Company", "Ballet"}},
	{"family", 6, []string{"Peter and the Wolf", "The Gruff Bear", "%s for Children", "Puppets of %s"},
		[]string{"children", "matinee", "from 4 years", "puppets"}, 6, 30, []string{"Puppet Theatre"}},
	{"sport", 7, []string{"Rovers v. Athletic", "Handball: Lions v. Bears", "Night Run", "Basketball: Towers v. Harbour", "Six Days of Cycling"},
		[]string{"league", "cup", "final", "derby"}, 10, 110, []string{"SC"}},
	{"talk", 3, []string{"%s in conversation", "%s reads", "Science Slam", "%s: How Cities Sleep"},
		[]string{"reading", "podcast", "science", "politics"}, 5, 28, []string{"& Guests"}},
	{"festival", 2, []string{"%s Open Air", "Harbour Days with %s", "Lights of Midsummer", "%s and Thirty More"},
		[]string{"open air", "day ticket", "camping", "midsummer"}, 35, 240, []string{"Crew"}},
}

var givenNames = []string{"Ana", "Zoë", "Łukasz", "Björk", "José", "Mireille", "Søren", "Agnès", "Tomáš", "Noa", "Yuki", "Fatoumata", "Liam", "Ingrid", "Matteo", "Chloé",
	"Anaïs", "Håkon", "Priya", "Kofi", "Marisol", "Jürgen", "Beatriz", "Owen", "Siobhán", "Dmitri", "Leïla", "Aurora", "Caetano", "Emil", "Freya", "Gökçe", "Hélène", "Ivo", "Jana",
	"Kai", "Lucía", "Milan", "Nina", "Oscar", "Paloma", "Quentin", "Rosa", "Sami", "Tove", "Ursula", "Viktor", "Wanda", "Ximena", "Yara", "Zeno"}

var familyNames = []string{"Moura", "Żak", "Guðmunds", "Núñez", "Lefèvre", "Kierkegaard", "Varda", "Novák", "Cohen", "Tanaka", "Diawara", "O'Brien", "Bergström", "Ricci", "Dubois",
	"Strand", "Raman", "Mensah", "Vega", "Müller", "Salgado", "Ellis", "Byrne", "Orlov", "Haddad", "Winter", "Veloso", "Lindqvist", "Holm", "Yıldız", "Caron", "Petrović", "Králová",
	"Nakamura", "Ferreira", "Kovács", "Simone", "Wilde", "Ortiz", "Marsh", "Iglesias", "Sato", "Virtanen", "Keller", "Popescu", "Nowak", "Reyes", "Halloran", "Baptiste", "Quist"}

var adjectives = []string{"Silver", "Midnight", "Paper", "Electric", "Velvet", "Broken", "Hollow", "Golden", "Northern", "Salt", "Crimson", "Quiet", "Second", "Distant", "Blue", "Burning",
	"Wooden", "Lonely", "Glass", "Holy", "Lucky", "Wild", "Sleeping", "Secret", "Late", "Tender", "Black", "Radio", "Neon", "Feral", "Marble", "Drifting"}

var nouns = []string{"Foxes", "Harbour", "Lanterns", "Machines", "Orchard", "Satellites", "Rivers", "Sisters", "Kings", "Parade", "Mountains", "Horses", "Cinema", "Thieves", "Arcade",
	"Weather", "Ghosts", "Cathedral", "Engines", "Swimmers", "Letters", "Tigers", "Windows", "Empire", "Whales", "Gardens", "Pilots", "Embers", "Avenue", "Echoes", "Comets", "Shapes"}
