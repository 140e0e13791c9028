//! Words of judgement that the general list does not have: written by hand, from how people review goods, places and films.
//!
//! A word that is in the general list too keeps the value that it has there.

/// Words of praise.
pub(super) const PRAISE: &str = "
absorbing accessible accomplished acclaimed adept admirably adroit affecting affectingly agile airtight alluring ambitious
ample amply amusingly appetizing apt aptly artful artfully artistry assured assuredly astonishing astonishingly astounding
astute atmospheric authentic authenticity award-winning balanced beautifully believable beguiling bewitching bittersweet
blissful blockbuster bold boldly bracing brainy breathtaking breathtakingly breezy brilliantly brisk briskly bubbly buoyant
captivates captivating captivatingly caring celebrates charismatic cheerfully cherish chic chilling clarity classic classy
clear-eyed cleverly coherent cohesive colorful comfortable comfortably commendable commitment compact compassion compellingly
compelling complements complex consistent consistently convenient conveniently convincing convincingly cozy crackles craft
crafted craftsmanship crave creatively credible crisply crowd-pleaser crunchy cushy customizable dazzles dazzling deeper
deft deftly delectable delicate delicately delicioso deserving detailed devastating dexterous disarming disarmingly
distinctive distinguished dreamy droll durable dynamic eager earnestness easier easiest easily ebullient eclectic edgy
effective effectively effervescent efficient effortless effortlessly elegant elegantly elegance elevates eloquent emotionally
empowering enchanting endearing endearingly energetic engaging engagingly engrossing engrossed enigmatic enlightening
enlivened enriched enthralling enthrall enthralled entrancing epic ergonomic ethereal evocative exhilarating exhilarated
exotic exquisite exquisitely exuberant eye-catching eye-opening fabulous faithful faithfully fantastically fascinates fascinated
fast-paced favorites fearless feel-good feisty filling finely finest finesse first-class first-rate fitting flavorful flavourful
fleshed fluid foolproof formidable freshness friendlier fuller fun-loving funnier funniest gem gems generously genial gentle
gently genuinely gifted giggle glossy glowing goodness gorgeously graceful grandeur gratifying great-tasting grin gripping
grips groundbreaking handcrafted handily handy handsomely harmonious haunting hauntingly heartbreaking heartening
heartrending heart-warming heartwarming heady heartfelt helpfully hilarious hilariously hilarity homage homemade hooked
humane humanity humbling hypnotic iconic ideal idyllic illuminating illuminates imaginative imaginatively immaculate
immediacy immensely immersive impassioned impeccably impress impressively indelible indispensable inexpensive infectious
ingenious ingeniously ingenuity innovation insight insightful insights inspirational instantly instructive integrity
intelligently intimate intimacy intricate intricately intriguing intrigue inventive inventiveness invigorating involving
irresistible irresistibly jaunty joyous juicy keeper keen keenly laugh-out-loud layered legendary likeable likable limber
literate lively lovable lovingly loyal luminous lush lushly luscious luxurious lyrical magical magically magnetic
majestic marvelously masterful masterfully mastery masterpieces meaningful melancholy meditation mellow memorable memorably
mesmerizing mesmerising meticulous meticulously mind-blowing mindful miraculous moist moody mouthwatering mouth-watering
moving movingly multi-layered must-have must-see neatly nifty nimble nostalgic noteworthy nourishing nuance nuanced nuances
oddly offbeat old-fashioned one-of-a-kind operatic opulent organized original originality outdoes outdone outrageously
outshines overjoyed painterly painless panache passionate passionately peerless penetrating perceptive perfection
persuasive picturesque piercing pitch-perfect pleasantly pleases pleasingly plucky plush poetic poetry poignancy poignant
poignantly polished polish potent powerfully praiseworthy precise precisely precision premium prescient pristine privileged
profound profoundly propulsive provocative punchy purposeful quaint quality quieter quirky rapturous rapid rare readable
reassuring recommend recommended recommending redeeming refined refreshes refreshing refreshingly relatable relevance
relevant remarkable resonant resonance resonates revealing revelation revelatory reverent revitalized rewarding rich
richly richness riot riveting rollicking romp roomy rousing sane satisfyingly satisfies savory savvy scenic scrumptious
searing sensational sensitivity sensuous sexy sharply shines shine shining simplicity sincerely sizzling skilful skillful
skillfully skilled sleek sly slick smartly smarter snappy soaring soars soothing soulful spacious sparkles sparkling
spectacularly spellbinding spirited splendidly spontaneity spooky spot-on spotless spry stands steady stellar stimulating
stirring straightforward striking strikingly strong-willed stunningly stunner sturdy sublime subtle subtlety subtly
succeeds succulent sumptuous superbly superlative surefire surprisingly surpasses suspenseful sustains sweetly sweetness
swift swiftly swoon sympathetic tasteful taut tautly tender-hearted tenderness terrifically testament thankful
thorough thoughtfully thoughtfulness thought-provoking thrillingly throwback tight tightly timeless timely top-quality
touches touching touchingly tour-de-force tranquil transcends transcendent transporting treat triumphantly tops truer
truthful twisty unaffected uncanny uncommonly uncompromising understated understatement undeniable undeniably unexpected
unflinching unforgettable uniquely universal unmatched unparalleled unpretentious unpredictable unsettling unusual upbeat
uplifting user-friendly vibrance vibrancy vivid vividly vitality visionary visually warm-hearted warming warmly well-acted
well-made well-crafted well-written well-done well-paced well-rounded whimsical whimsy wholesome wickedly wildly
winning wistful witty wit wonderment wondrous worthy worthwhile wow-factor wrenching yummy zany zest zesty zippy";

/// Words of blame.
pub(super) const BLAME: &str = "
abrasive absent absurd absurdly abrupt aimless aimlessly aloof amateur amateurish ambles annoyance annoyances
annoyingly anemic apathetic arbitrary arduous artifice artificial awkwardly backfires bad-tasting baffling
baffled banal banality barrage barren befuddled belabored bewildering bloated bland blandly blandness blah blatant blatantly
bleak bogs bogus bombastic bothersome breakage broke brittle broad bug bugs buggy bulky bumbling bummer bungled bust by-the-numbers
cacophony callous calculated canned careless carelessly caricature caricatures cartoonish cash-in cheap cheaper cheaply
cheap-looking cheesy chaotic cheat cheats chintzy choppy chore clanky cliched cliche cliches clichéd clogged clogs
clueless clumsily clunker clunky cloying coarse coincidence collapses cold-blooded complacent confused confuses confusingly
contrivance contrivances contrived convoluted corny corrosion costly crack cracks cramped crammed crass creak
creaky creepy cringe cringe-worthy crooked crowded crude crudely cumbersome cursory cutesy dated dead-end deadpan dead-on-arrival
deafening decay degraded degenerates dents derivative desperate desperately deteriorated detached diabolical diatribe difficult
difficulties difficulty dilapidated dim diminished dingy disagreeable disappointingly disastrously discomfort discontinued
disconcerting disgustingly dishonest dishonesty disjointed dismal dismally disorganised disorienting disposable dissatisfying
distort distorted distortion distracts distraction distractions distractingly dopey drab drags dragging drained drains draining
dreadfully dreary dreck drivel droning drones drowned dud dull-witted dulled dullard dullness dumbed dumber dumbest dysfunction
echo eerily effortful empty egotistical embarrassingly emptiness endless endlessly erratic error-prone excruciating
excruciatingly exasperating exhausting exorbitant expensive exploitation exploitative expired extraneous eyesore facile
faked fakes falters fanciful far-fetched feeble feebly fizzle fizzles flat flatly flaw flawed flaws flimsy flop
flops floundering flounders fluff foggy foolishly forced forgets forgettable formless formula formulaic fragile fragmented
frivolous fumbles fussy futile fuzzy gaudy generic gibberish gimmick gimmicks gimmicky glacial glare glib glitch gloss
glum gore gory gouge grainy grating gratuitous gratuitously greed grimy grinding grotesque gross grossly grossed
half-baked half-hearted ham-fisted hampered hackneyed hack haphazard harder hard-to-use hardly hassles hazy headache headaches
heartless heavy-handed hideous hideously hissing ho-hum hodgepodge hokey hokum hollow hollowness horrendous horribly hurts
hypocritical idiocy ill-advised ill-conceived ill-fitting illogical imitation immature impersonal implausible impractical
inadequate inadequately inane inanities inappropriate inaudible inaccurate inane incessant incessantly incoherent incoherence
incompatible incomplete inconsequential inconsistency inconsistent inconvenience inconvenient indifference indifferent
indigestible indulgent ineffective ineffectual inefficient ineptly ineptitude inert inexplicable inferiority inflated
inhuman insanely insincere insipid insubstantial insufferable insufficient insulting insultingly interminable interference
interminably intolerable intrusive irrelevant irritatingly itchy jarring jerky juvenile kitsch labored laborious lackadaisical
lacked lackluster lag lags laggy laughable laughably lazily leak leaks leaking leaden lengthy lethargic lifeless
limitations limited limits limp listless lousy lukewarm ludicrous ludicrously lumbering lurid maddening malfunction malfunctions
malfunctioned manipulation manipulative mangled marred mawkish meager meandering meanders meaningless mechanical melodrama
melodramatic mediocrity middling mild-mannered mindless mindlessly mirthless misconceived misfire misfires misguided misinformed
mishmash misleads missable misstep missteps moldy monotone monotonous monotony moronic muddled muddle muddy muffled mundane murky
mushy mystifying narcissistic nasty-tasting nauseating nauseous needless needlessly neither nightmarish nitpick no-frills
noise noises nonsensical nonsense non-existent nonfunctional numbing numbingly obnoxious obnoxiously obscure obsolete obvious
obviously odious odor offensive-smelling offensively oily old-hat oppressively ordinary outdated over-the-top overacted
overblown overbearing overcooked overdone overheats overheating overkill overlong overload overloaded overly overplayed
overpowering overpriced overrated overrun overused overwrought overwritten oversized painfully padded pallid pandering
paltry paper-thin parody passable patchy patronizing pedestrian perfunctory perplexing perverse phony pile pitiable
plagued plastic-y plastic platitudes plodding plods plotless poky ponderous pointless pointlessly poorest poor-quality posturing
preachy precious predictability predictable predictably preposterous preposterously pretension pretensions pretentious pretentiously
pretend prefabricated problematic prohibitive propaganda protracted puerile pulpy punishing puzzling queasy quibble quibbles
quits rambling random rancid rattles raunchy recycled redundant rehash rehashed relentless relentlessly repellent repetitive
repetition repetitious repugnant repulsive retread retreads rickety ridiculousness rigid rip-off ripped rote rotten rubbery
rubbish ruins rundown runny rushed rusty saccharine sagging sappy saggy schlock schmaltzy scratchy scratches scraping screeching
self-absorbed self-conscious self-consciously self-important self-indulgent selfish senseless sentimental sentimentality shaky
shabby shallow shallowness shameless shamelessly shapeless shockingly shoddily short-lived shortcomings shortcoming shouting shrill
sickening sickly silliness simplistic simple-minded simpleminded sinks sitcom sketchy skimpy skip sleaze sleazy sleep-inducing
slapdash slapstick slight slog sloppily sloppy slop slow-moving slowly slow-witted sluggishly smarmy smell-bad smelled smells smothered
smug smugly snail snobby snooze soggy sophomoric soulless sour spam spiteful spongy spotty squanders squandered stagnant staid stagy
staleness stalls stalled standard-issue static steals stench stereotype stereotypes stereotypical stiff stiffly stilted
stinker stinking strained straining strains strange strangely stretched strident struggles struggling stodgy stuffy stultifying stumbles
stumbling stupefying stupidity substandard sub-par subpar sucky suffers suffering sugar-coated superficial superficially
superfluous surreal suffocating swamped syrupy tacky tame tangled tasteless tearjerker tedious tediously tedium tepid terribly
thankless thin thinly threadbare throwaway tinny tiresome tiring tired-out toilet-humor toothless torture torturous tortured
touchy toxic trashy tripe trite trivial trivializes troublesome turgid turn-off twaddle ugly ugliness unappealing unappetizing unattractive
unbearable unbearably unbelievable uncertain unclear uncomfortable uncomfortably uncompelling unconvincing uncooked undercooked
underdeveloped underdone undermined undermines underwhelming undistinguished uneven unevenly uneventful unexciting
unexplained unfocused unfortunate unfortunately unforgivable unfulfilling unfunny unhelpful unimaginative uninspired uninspiring
uninteresting uninvolving unintelligible unintentionally unintended unnatural unnecessary unnecessarily unoriginal unpalatable
unpersuasive unreadable unrealistic unrecognizable unrelenting unremarkable unresolved unsatisfactory unsafe unsavory
unsightly unsophisticated unsubtle unsuitable unsuccessful unsurprising unsurprisingly unsympathetic untalented untrue unusable
unwatchable unwieldy unwelcome vacuous vain vapid vague vaguely vanity verbose vile villainous vulgar wannabe wasteful
wastes watered watered-down watery weaker weakest weightless weird weirdly whiny whining wimpy witless wobbly
wooden woeful woefully wordy worn worn-out worsened worthlessness wreck wrecks wretched yawn yawns";
