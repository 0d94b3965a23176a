"""Templates in the voice of encyclopaedias, news, sports pages and posts. Written for Magistrate; no sentence is taken from elsewhere.

Slots as in `scenes`, and ``<CLUB>`` a team, ``<UNI>`` a place of learning, ``<PARTY>`` a party or a union, ``<BODY>`` an authority or an
army's unit, ``<PAPER>`` a newspaper or a station, ``<BAND>`` a band, ``<FIRM>`` a company with no form of law in its name, ``<ACR>`` an
acronym: all of them organisations; ``<AREA>`` a district, a river, a mountain, a sea or a continent: a place. ``<WORK>`` a title of a work,
``<FOLK>`` a people or a language and ``<PRIZE>`` an event are none of what is learnt.
"""

ENCYCLOPAEDIA = (
    "<FULL> ( born <DATE> ) is a <FOLK> footballer who plays for <CLUB> .", "He made his debut for <CLUB> against <CLUB> in <DATE> .",
    "She studied law at <UNI> and later taught at <UNI> .", "<UNI> is a public university in <TOWN> , <LOC> .",
    "The <BODY> was formed in <LOC> during the war and disbanded in <DATE> .", "<TOWN> is a town in the <AREA> in <LOC> .",
    "The river rises in the <AREA> and flows through <TOWN> into the <AREA> .", "The <PARTY> won <NUM> seats in the election in <LOC> .",
    "<FULL> was a member of the <PARTY> and represented <AREA> .", "<BAND> is a rock band from <TOWN> , <LOC> .",
    "<BAND> released the album <WORK> on <FIRM> in <DATE> .", "The song was covered by <BAND> and by <FULL> .",
    "Their second album , <WORK> , was recorded in <TOWN> .", "<FIRM> is a <FOLK> manufacturer of cars with headquarters in <TOWN> .",
    "<FIRM> was acquired by <FIRM> in <DATE> .", "<FULL> founded <FIRM> together with <FULL> .",
    "The <PAPER> described the film as a triumph .", "<FULL> wrote a column for the <PAPER> until <DATE> .",
    "<WORK> is a novel by <FULL> , set in <LOC> .", "<WORK> is a <FOLK> film directed by <FULL> and starring <FULL> .",
    "The <FOLK> are a people of <LOC> and <LOC> .", "Most of them speak <FOLK> or <FOLK> .",
    "<CLUB> finished second behind <CLUB> .", "He was traded from the <CLUB> to the <CLUB> in <DATE> .",
    "The <ACR> and the <ACR> signed a treaty in <TOWN> .", "It is the largest island in the <AREA> .",
    "From <DATE> he served with the <BODY> in <LOC> and <LOC> .", "After the battle the <BODY> withdrew to <TOWN> .",
    "The <BODY> approved the plan in <DATE> .", "The railway between <TOWN> and <TOWN> is run by <FIRM> .",
    "In the <PRIZE> she won bronze for <LOC> .", "He competed for <LOC> at the <PRIZE> in <TOWN> .",
    "The museum in <TOWN> belongs to <UNI> .", "<TOWN> ( <FOLK> : <TOWN> ) is the capital of <AREA> .",
    "The species is found in <LOC> , <LOC> and <AREA> .", "<LAST> was elected to the <BODY> in <DATE> .",
    "The <AREA> borders <LOC> to the north and <LOC> to the east .", "Its head office is in <TOWN> , with branches in <TOWN> and <TOWN> .",
    "As of <DATE> the <CLUB> play their home games in <TOWN> .", "Born in <TOWN> , <LOC> , <LAST> moved to <TOWN> at the age of <AGE> .",
    "<FULL> , better known as <FIRST> , is a singer with <BAND> .", "The <PRIZE> was held in <TOWN> , <AREA> .",
    "The aircraft was built by <FIRM> for the <BODY> .", "King <FIRST> of <LOC> conquered the <AREA> .",
    "The <PARTY> and the <PARTY> formed a coalition .", "<ACR> is a radio station in <TOWN> owned by <FIRM> .",
    "He is a graduate of <UNI> , <UNI> and <UNI> .", "The county seat is <TOWN> .", "<TOWN> , <TOWN> and <TOWN> lie on the <AREA> .",
    "The series was broadcast by <ACR> in <LOC> and by <PAPER> elsewhere .", "<LAST> died in <TOWN> in <DATE> .",
    "Released in <DATE> , <WORK> sold <NUM> copies in <LOC> .", "The <FOLK> army crossed the <AREA> in <DATE> .",
    "Under <LAST> the <CLUB> reached the final of the <PRIZE> .", "The <BODY> of <LOC> and the <BODY> of <LOC> met in <TOWN> .",
    "He left <FIRM> to join <FIRM> .", "The school is part of the <TOWN> district and was named after <FULL> .",
    "Its population is <NUM> , most of them <FOLK> .", "<FULL> received the <PRIZE> for <WORK> .", "Version 2 was published by <FIRM> .",
    "The Monday service was cancelled .", "It was the first of its kind .", "The building dates from <DATE> .", "Chapter 3 deals with the law .",
)  # fmt: skip
NEWS = (
    "<TOWN> ( <ACR> ) - <FIRM> said on Tuesday it would cut <NUM> jobs in <LOC>.", "<FIRM> shares rose after <ACR> approved its drug.",
    '"We are sorry," a spokesman for <FIRM> told the <PAPER>.', "<LAST> , who coached <CLUB> and <CLUB>, has died at <AGE>.",
    "The <BODY> fined <FIRM> <MONEY>.", "<CLUB> 2, <CLUB> 1", "Analysts at <FIRM> expect the <FOLK> economy to shrink.",
    "The <PARTY> leader, <FULL>, resigned in <TOWN>.", "<FIRM> and <FIRM> are in talks, the <PAPER> reported.",
    "The lawsuit was filed by <FIRM> against <ACR> in <TOWN>.", "Flooding along the <AREA> forced thousands in <LOC> to flee.",
    "The <ACR> warned of drought in <AREA> and <LOC>.", "Students at <UNI> protested in <TOWN>.", "<FULL> of <UNI> led the study.",
    "<FIRM>'s chief executive, <FULL>, sold shares.", "<PAPER> has endorsed <FULL>.", "<LOC>'s government blamed the <ACR>.",
    "<CLUB> striker <LAST> is out for <NUM> weeks.", "Workers at <FIRM> in <TOWN> are on strike, the <PARTY> said.",
    "The <BODY> opened an inquiry into <FIRM>.", "<BAND> cancelled their show in <TOWN>.", "Oil spilled into the <AREA> off <LOC>.",
)  # fmt: skip
TALK = (
    "i love <BAND> so much", "<CLUB> are playing tonight!!", "anyone watching <CLUB> vs <CLUB>?", "just got hired at <FIRM> :)",
    "why is <FIRM> support so slow", "my new <FIRM> phone broke", "going to see <BAND> in <TOWN> w/ <FIRST>", "@user1 did you get into <UNI>?",
    "<ACR> is on strike again smh", "reading <WORK> rn, so good", "watching <WORK> with <FIRST>", "So <FIRM> bought <FIRM>?? wow",
    "I filed a complaint with <FIRM> about my account.", "my internet is down again, thanks <FIRM>", "does <FIRM> deliver to <LOC>?",
    "I used to work for <FIRM> and then for <ACR>.", "Compare <FIRM> and <FIRM> for me.", "Write a cover letter to <FIRM>.",
    "Please transfer my account from <FIRM> to <FIRM>.", "What does <ACR> stand for?", "road trip down the <AREA>!", "snow in <AREA> again",
    "Plan a trip along the <AREA> from <TOWN> to <TOWN>.", "<UNI> or <UNI> for physics?", "RT @user2: <PAPER>: fire in <TOWN>",
    "I am a teacher at <UNI> and I need a lesson plan on <FOLK> history.", "vote <PARTY>", "My bank is <FIRM>.", "Happy Friday everyone!",
    "Can you translate this into <FOLK>?", "How do you say good night in <FOLK>?", "Summarise <WORK> in two sentences.",
)  # fmt: skip
TEMPLATES = (*ENCYCLOPAEDIA, *ENCYCLOPAEDIA, *NEWS, *TALK)
SLOTS = {"CLUB", "UNI", "PARTY", "BODY", "PAPER", "BAND", "FIRM", "ACR"}
UNLABELLED = {"WORK", "FOLK", "PRIZE"}

CLUB_ENDS = (
    "United City FC Town Rovers Wanderers Athletic Albion County Rangers Dynamo Sporting Hotspur Villa Tigers Lions Bears Eagles Hawks "
    "Giants Wolves Bulls Sharks Panthers Knights Kings Rockets Stars Sox Braves Pirates Royals Saints Titans Storm Raiders Cowboys Falcons"
).split()  # fmt: skip
PARTIES = (
    "Labour Conservative Liberal Democratic Republican Socialist Communist Green National Christian People's Workers' Progressive Reform "
    "Social Democratic|Liberal Democratic|Popular|Farmers'|Radical|Independent|Centre|Unionist|Freedom|Nationalist"
).replace("|", " ").split()  # fmt: skip
PARTY_ENDS = (
    "Party",
    "Party",
    "Party",
    "Union",
    "Front",
    "Alliance",
    "League",
    "Movement",
    "Federation",
    "Congress",
)
BODIES = (
    "Ministry of Defence|Ministry of Health|Department of Justice|Department of Education|Supreme Court|House of Representatives|Senate|"
    "Parliament|Congress|House of Commons|House of Lords|City Council|Royal Navy|Air Force|Navy|Army|Marine Corps|Coast Guard|Central Bank|"
    "Security Council|General Assembly|European Commission|European Parliament|High Court|National Guard|Foreign Office|Home Office|Treasury|"
    "State Department|Federal Reserve|Constitutional Court|National Assembly|Royal Society|Red Cross|Church of England|Catholic Church|"
    "1st Infantry Division|3rd Army|7th Cavalry|101st Brigade|9th Battalion|2nd Regiment|Police Department|Fire Department|Electoral Commission"
).split("|")  # fmt: skip
PAPERS = ("Times", "Post", "Herald", "Tribune", "Gazette", "Daily News", "Guardian", "Chronicle", "Star", "Telegraph", "Observer", "Journal", "Radio", "TV", "Courier", "Mirror", "Sun", "Independent")  # fmt: skip
BAND_WORDS = (
    "Velvet Black Silent Electric Broken Wild Crystal Burning Hollow Paper Silver Midnight Neon Iron Sweet Lost Holy Dirty Purple Golden "
    "Stones Doors Wolves Shadows Strangers Hearts Engines Mirrors Kids Sisters Brothers Machines Rebels Ghosts Diamonds Roses Pilots Birds Riders"
).split()  # fmt: skip
FIRM_WORDS = (
    "Systems Airlines Airways Motors Records Pictures Entertainment Studios Bank Electric Oil Petroleum Steel Foods Stores Books Press Games "
    "Networks Insurance Railway Railroad Broadcasting Communications Aerospace Chemicals Brewery Software Media Publishing Shipping Mining Telecom"
).split()  # fmt: skip
WORK_WORDS = (
    "Night River House Summer Shadow Love Road Garden Winter Dream Fire Stone Light King Queen Sea Letter Song Island Train Window Storm Moon "
    "Daughter Brother Last First Lost Long Silent Blue Red Golden Empty Secret Wild Dark New Broken"
).split()  # fmt: skip
FOLK = (
    "English French German Italian Spanish Portuguese Dutch Polish Swedish Danish Norwegian Finnish Russian Ukrainian Greek Turkish Arabic Hebrew "
    "Persian Hindi Tamil Bengali Chinese Japanese Korean Thai Vietnamese American British Canadian Australian Mexican Brazilian Irish Scottish "
    "Welsh Austrian Swiss Belgian Hungarian Romanian Czech Serbian Croatian Bulgarian Egyptian Nigerian Kenyan Indian Pakistani African European "
    "Asian Latin Roman Catholic Jewish Muslim Islamic Buddhist Hindu Protestant Soviet Ottoman"
).split()  # fmt: skip
PRIZES = (
    "World Cup|Olympic Games|Summer Olympics|Winter Olympics|Grand Prix|Nobel Prize|Academy Award|World War II|World War I|Cold War|Champions League|"
    "Tour de France|European Championship|Pulitzer Prize|Grammy Award|Easter Rising|French Revolution|Davis Cup|Super Bowl|World Series|Golden Globe"
).split("|")  # fmt: skip
AREAS = (
    "Alps|Andes|Himalayas|Rocky Mountains|Pyrenees|Carpathians|Ural Mountains|Black Forest|Sahara|Kalahari|Gobi Desert|Amazon|Nile|Danube|Rhine|Rhone|Elbe|Oder|"
    "Vistula|Volga|Dnieper|Don|Thames|Severn|Seine|Loire|Po|Tiber|Ebro|Tagus|Mississippi|Missouri|Ohio River|Colorado River|Rio Grande|Hudson River|Yukon|"
    "St. Lawrence River|Ganges|Indus|Mekong|Yangtze|Yellow River|Congo|Niger|Zambezi|Tigris|Euphrates|Jordan River|Atlantic Ocean|Pacific Ocean|Indian Ocean|"
    "Arctic Ocean|Mediterranean|Mediterranean Sea|Baltic Sea|North Sea|Black Sea|Caspian Sea|Red Sea|Caribbean|Caribbean Sea|Adriatic|Aegean Sea|English Channel|"
    "Persian Gulf|Gulf of Mexico|Bay of Bengal|Lake Michigan|Lake Victoria|Lake Geneva|Lake Erie|Hudson Bay|Europe|Asia|Africa|North America|South America|"
    "Latin America|Antarctica|Oceania|Middle East|Far East|Balkans|Scandinavia|Southeast Asia|Central Asia|Western Europe|Eastern Europe|East Africa|West Africa|"
    "Bavaria|Saxony|Prussia|Silesia|Bohemia|Moravia|Galicia|Catalonia|Andalusia|Castile|Lombardy|Tuscany|Sicily|Sardinia|Piedmont|Veneto|Burgundy|Normandy|Brittany|"
    "Provence|Alsace|Lorraine|Corsica|Flanders|Wallonia|Holland|Friesland|Jutland|Lapland|Transylvania|Wallachia|Crimea|Siberia|Anatolia|Kurdistan|Kashmir|"
    "Punjab|Gujarat|Kerala|Tamil Nadu|Bihar|West Bengal|Rajasthan|Maharashtra|Sindh|Sichuan|Guangdong|Tibet|Manchuria|Hokkaido|Honshu|Kyushu|Java|Sumatra|Borneo|"
    "Queensland|Tasmania|New South Wales|Ontario|Quebec|British Columbia|Alberta|Manitoba|Nova Scotia|Saskatchewan|Newfoundland|Yorkshire|Lancashire|Cornwall|Devon|"
    "Kent|Essex|Sussex|Surrey|Norfolk|Wales|Scotland|Northern Ireland|Ulster|Connacht|Munster|Leinster|Highlands|Hebrides|Orkney|Isle of Man|Channel Islands|"
    "New England|Midwest|Silicon Valley|Manhattan|Brooklyn|Queens|Bronx|Staten Island|Hollywood|Long Island|Cape Cod|Florida Keys|Soviet Union|Yugoslavia|"
    "Czechoslovakia|East Germany|West Germany|Ottoman Empire|Roman Empire|British Empire|Holy Roman Empire|Persia|Mesopotamia|Babylon|Sparta|Carthage|Judea|Hawaii|"
    "Puerto Rico|Greenland|Patagonia|Yucatan|Chiapas|Jalisco|Bahia|Minas Gerais|Mato Grosso|Minsk Region|Moscow Oblast|Crete|Cyprus|Malta|Madeira|Azores|Canary Islands"
).split("|")  # fmt: skip
