//! Words and phrases that customers write, which lists of general words do not know or misread.
//!
//! Written by hand for support: what goes wrong with orders, deliveries, accounts and bookings, and how people praise.

/// In the general list, but used in support without any feeling.
pub(super) const UNWEIGHTED: &[&str] = &[
    "kindly",
    "please",
    "help",
    "support",
    "united",
    "like",
    "interest",
    "interested",
    "number",
    "credit",
    "trust",
];

/// Words with what they are worth.
pub(super) const SUPPORT: &[(f32, &str)] = &[
    (
        -2.5,
        "overcharged overcharging unresponsive unhelpful unprofessional incompetent incompetence unacceptable \
         inexcusable scam scammed scammers ripoff refuses appalling atrocious abysmal shoddy crappy garbage junk \
         unusable unreliable defective useless worthless horrid rudest worst pathetic nightmare fiasco shambles joke \
         clueless inept disgraceful unethical misleading deceptive",
    ),
    (
        -1.8,
        "broken broke cancelled canceled cancelling delayed delays delay stranded stuck missing lost damaged faulty \
         glitch glitches buggy crashed crashes crashing crash freezes froze frozen overpriced misled misplaced \
         ignored ignoring refused denied disconnected rejected failed fails failing failure error errors outage \
         leaking leaked cracked scratched torn stained dirty filthy smelly moldy stale soggy bland tasteless greasy \
         overcooked undercooked cramped noisy slow slower slowest sluggish laggy flimsy cheaply poorly mediocre \
         disorganized outdated unanswered bumped nonexistent understaffed",
    ),
    (
        -1.2,
        "waiting waited late missed refund refunded reimbursed reimbursement compensation hung wasted ruined ruining \
         returned returning stopped nowhere still yet again supposedly allegedly apparently excuse excuses complaint \
         complaints complain complained disconnect dropped overbooked oversold unavailable unable impossible \
         ridiculous ridiculously resolve unresolved fix fixed issue issues problem problems trouble wrong incorrect \
         confusing",
    ),
    (
        -0.6,
        "hours hour weeks hold wait minutes days yesterday why finally only least instead another already",
    ),
    (
        2.2,
        "thx thnx ty tysm kudos props yay woohoo woot awesomeness flawless flawlessly seamless seamlessly \
         delicious tasty yummy phenomenal superb stellar outstanding exceptional exceptionally impeccable \
         knowledgeable attentive courteous speedy hassle-free lifesaver rocks rocked classy bravo stoked",
    ),
    (
        1.4,
        "quick quickly fast faster fastest smooth smoothly prompt promptly responsive reliable durable sturdy \
         lightweight affordable comfy crisp fresh helped resolved solved works worked intuitive seamless clean",
    ),
];

pub(super) const INTENSIFIERS: &str = "absolutely amazingly awfully completely considerably decidedly deeply \
    enormously entirely especially exceptionally extremely fabulously flipping fricking frigging fully fucking \
    greatly hella highly hugely incredibly insanely intensely majorly more most particularly purely quite really \
    remarkably so substantially super thoroughly totally tremendously truly unbelievably unusually utterly very way too";

pub(super) const DAMPENERS: &str = "almost barely hardly kinda kindof less little marginally occasionally partly scarcely slightly somewhat sorta";

/// Phrases with what they are worth as a whole.
pub(super) const PHRASES: &[(f64, &str)] = &[
    (
        2.0,
        "no problem
         no problems
         no problem at all
         no problems at all
         no problems ever
         no problems so far
         no complaints
         no complaint
         no complaints here
         no issues
         no issue
         no issues so far
         no issues at all
         no worries
         no regrets
         no bad smell
         no trouble
         no trouble at all
         no hassle
         no fuss
         without a hitch
         without any issues
         without any problems
         without issue
         without problems
         nothing to worry about
         nothing bad to say
         nothing but good
         nothing but praise
         can't complain
         can not complain
         cannot complain
         can't go wrong
         can't beat
         can not beat
         can't wait
         can not wait
         couldn't be happier
         couldn't ask for more
         could not be happier
         could not ask for more
         never fails
         never failed me
         never had a problem
         never had any problems
         never had an issue
         never had any issues
         never disappoints
         never disappointed
         not disappointed
         does not disappoint
         doesn't disappoint
         did not disappoint
         didn't disappoint
         won't be disappointed
         will not be disappointed
         won't regret
         won't disappoint
         not bad
         not bad at all
         not too bad
         not half bad
         not too shabby
         not the worst
         not a problem
         thumbs up
         two thumbs up
         five stars
         5 stars
         10 out of 10
         highly recommend
         highly recommended
         strongly recommend
         would recommend
         definitely recommend
         worth every penny
         worth the money
         well worth
         works great
         works well
         works perfectly
         work great
         works fine
         love it
         loved it
         well done
         well made
         keep up the good work
         keep it up
         made my day
         saved my day
         you rock
         you guys rock
         you are the best
         you're the best
         you guys are the best
         shout out
         hats off
         can't thank you enough
         cannot thank you enough
         much appreciated
         thank you so much
         thanks so much
         thanks for the help
         thanks for your help
         thank you for your help
         a pleasure
         great job
         good job
         nice job
         awesome job
         back for more
         will be back
         definitely be back
         must see
         must have
         blown away
         a life saver
         above and beyond
         top notch
         second to none
         hit the spot
         on point
         to die for",
    ),
    (
        -2.5,
        "waste of money
         waste of time
         a waste
         waste your money
         waste your time
         wasted my time
         wasted my money
         wasted two hours
         not recommend
         not worth
         not worth it
         not worth the money
         never again
         never coming back
         never going back
         never go back
         never be back
         never buy
         never fly
         never return
         never use
         won't be back
         will not be back
         won't be going back
         won't be returning
         will not be returning
         not be back
         not going back
         not happy
         not impressed
         not acceptable
         not satisfied
         not helpful
         not work
         not working
         n't work
         n't working
         doesn't work
         does not work
         didn't work
         did not work
         stopped working
         quit working
         fell apart
         falls apart
         falling apart
         let down
         let me down
         ripped off
         rip off
         ripping off
         fed up
         sick of
         tired of
         give up
         on hold
         on hold for
         hung up on
         hang up on
         hangs up on
         hung up
         still waiting
         still no
         still not
         still haven't
         still hasn't
         no response
         no reply
         no answer
         no explanation
         no apology
         no help
         no one
         nobody
         no idea
         no reason
         no sense
         no customer service
         no luck
         no longer
         no way
         no clue
         nothing works
         makes no sense
         does not make sense
         doesn't make sense
         don't bother
         do not bother
         don't waste
         do not waste
         don't buy
         do not buy
         stay away
         stay away from
         steer clear
         avoid
         beware
         thumbs down
         zero stars
         0 stars
         1 star
         one star
         at least
         too bad
         too small
         too expensive
         too late
         too long
         too slow
         too loud
         too salty
         too many
         poor quality
         bad quality
         cheap quality
         so bad
         what a joke
         are you kidding
         are you serious
         you've got to be kidding
         get it together
         get your act together
         last time
         lost my business
         lost a customer
         lost my bag
         lost my luggage
         losing a customer
         losing my business
         taking my business
         cancel my
         cancel my account
         want my money back
         my money back
         a refund
         no refund
         sat on
         sitting on
         how long
         how is it
         how can you
         how hard is it
         how do you
         nowhere near
         went downhill
         gone downhill
         over an hour
         over 2 hours
         over 3 hours
         2 hours
         3 hours
         4 hours
         5 hours
         hours late
         hours later
         fix this
         fix your
         go to hell
         screw you
         wtf
         left a bad taste
         a letdown
         sent back
         sending it back
         had to return
         returned it
         sending me
         worse than
         leaves much to be desired
         lack of
         needs to be
         should be ashamed
         should have",
    ),
    (
        0.0,
        "customer service
         customer support
         help desk
         thank you in advance
         thanks in advance
         bad weather
         miss universe
         pretty much
         well as
         as well
         good morning
         good afternoon
         good evening
         happy birthday
         looking forward
         best regards
         kind regards
         warm regards
         sincerely yours
         dear sir
         dear sirs
         dear team
         in order
         could you
         can you
         gift card
         free trial
         trust fund
         credit card",
    ),
];
