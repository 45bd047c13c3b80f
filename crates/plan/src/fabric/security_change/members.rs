//! The other sides of flows by the groups that they are members of: two policies are two lists of groups, and who decides is the
//! first group of each that the other side is a member of.
//!
//! Groups are numbers here, in the order of their names.

use super::budget::Budget;

/// A group by its number.
pub(super) type Group = usize;

/// Most questions one behind the other. More are never within the budget, and each is a call inside of another.
const MAX_DEPTH: usize = 1000;

/// What a question costs beside what is looked at for it: it is kept.
const QUESTION: usize = 16;

/// What a policy says to the members of groups at one place, the first that is met deciding.
pub(super) struct Members {
    pub groups: Vec<(Group, bool)>,
    pub default: bool,
}

/// Who differs, by groups: a tree of questions.
#[derive(Debug)]
enum Tree {
    /// Whether it opens, or closes; none: both policies say the same.
    Leaf(Option<bool>),
    Member(Group, Box<Self>, Box<Self>),
}

/// Answers to some of the questions, in the order of the groups.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Case {
    pub members_of: Vec<Group>,
    pub not_members_of: Vec<Group>,
}

/// Who differs between two policies: whether they open, and the fewest answers by which one knows them. There are groups of
/// so many numbers. None if it takes too long to say.
pub(super) fn differences(
    before: &Members,
    after: &Members,
    groups: usize,
    budget: &mut Budget,
) -> Option<Vec<(bool, Case)>> {
    budget.spend(groups)?;
    let mut asking = Asking { known: vec![None; groups], depth: 0, budget };
    let tree = asking.difference((before, 0), (after, 0))?;
    let mut all = Vec::new();
    for opens in [true, false] {
        all.extend(asking.cases(&tree, opens)?.into_iter().map(|case| (opens, case)));
    }
    Some(all)
}

/// The answers so far, and what more of them may cost.
struct Asking<'b> {
    known: Vec<Option<bool>>,
    depth: usize,
    budget: &'b mut Budget,
}

/// What a policy says to somebody of whom some answers are known.
enum Decided {
    Says(bool),
    /// It depends on this one, at this place of its list.
    On(Group, usize),
}

impl Asking<'_> {
    /// What the policy says, if all groups before a place of its list are answered by "no".
    fn decided(&mut self, members: &Members, from: usize) -> Option<Decided> {
        for (place, (group, allows)) in members.groups.iter().enumerate().skip(from) {
            self.budget.spend(1)?;
            match self.known[*group] {
                Some(true) => return Some(Decided::Says(*allows)),
                Some(false) => {}
                None => return Some(Decided::On(*group, place)),
            }
        }
        Some(Decided::Says(members.default))
    }

    /// What two policies say, group by group: those of `before` are asked first, then those of `after`, as far as the answers
    /// so far leave it open. Each from a place of its list on; what is before was answered by "no".
    fn difference(&mut self, before: (&Members, usize), after: (&Members, usize)) -> Option<Tree> {
        self.budget.spend(QUESTION)?;
        let decided = (self.decided(before.0, before.1)?, self.decided(after.0, after.1)?);
        let (group, before, after) = match decided {
            (Decided::Says(before), Decided::Says(after)) => {
                return Some(Tree::Leaf((before != after).then_some(after)));
            }
            (Decided::On(group, place), _) => (group, (before.0, place), after),
            (_, Decided::On(group, place)) => (group, before, (after.0, place)),
        };
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.known[group] = Some(true);
        let yes = self.difference(before, after)?;
        self.known[group] = Some(false);
        let no = self.difference(before, after)?;
        self.known[group] = None;
        self.depth -= 1;
        Some(if self.same(&yes, &no)? { yes } else { Tree::Member(group, Box::new(yes), Box::new(no)) })
    }

    fn same(&mut self, one: &Tree, other: &Tree) -> Option<bool> {
        self.budget.spend(1)?;
        Some(match (one, other) {
            (Tree::Leaf(one), Tree::Leaf(other)) => one == other,
            (Tree::Member(one, one_yes, one_no), Tree::Member(other, other_yes, other_no)) => {
                one == other && self.same(one_yes, other_yes)? && self.same(one_no, other_no)?
            }
            _ => false,
        })
    }

    /// Whether all who are left by the answers differ so.
    fn is_all(&mut self, tree: &Tree, opens: bool) -> Option<bool> {
        self.budget.spend(1)?;
        match tree {
            Tree::Leaf(leaf) => Some(*leaf == Some(opens)),
            Tree::Member(group, yes, no) => match self.known[*group] {
                Some(true) => self.is_all(yes, opens),
                Some(false) => self.is_all(no, opens),
                None => Some(self.is_all(yes, opens)? && self.is_all(no, opens)?),
            },
        }
    }

    /// The fewest answers by which one knows who differs so.
    fn cases(&mut self, tree: &Tree, opens: bool) -> Option<Vec<Case>> {
        let (mut found, mut cases) = (Vec::new(), Vec::new());
        self.collect(tree, opens, &mut Vec::new(), &mut found)?;
        for answers in found {
            cases.push(self.shortened(tree, opens, &answers)?);
        }
        cases.sort_unstable();
        cases.dedup();
        // Whom another case has, too, need not be said again.
        let mut wide = Vec::new();
        for case in &cases {
            let mut is_within = false;
            for other in &cases {
                self.budget.spend(1 + other.members_of.len() + other.not_members_of.len())?;
                is_within |= case != other && case.is_within(other);
            }
            if !is_within {
                wide.push(case.clone());
            }
        }
        Some(wide)
    }

    /// The answers on the way to each leaf that says so.
    fn collect(
        &mut self,
        tree: &Tree,
        opens: bool,
        way: &mut Vec<(Group, bool)>,
        found: &mut Vec<Vec<(Group, bool)>>,
    ) -> Option<()> {
        self.budget.spend(1)?;
        match tree {
            Tree::Leaf(leaf) if *leaf == Some(opens) => {
                self.budget.spend(way.len())?;
                found.push(way.clone());
            }
            Tree::Leaf(_) => {}
            Tree::Member(group, yes, no) => {
                for (answer, tree) in [(true, yes), (false, no)] {
                    way.push((*group, answer));
                    self.collect(tree, opens, way, found)?;
                    way.pop();
                }
            }
        }
        Some(())
    }

    /// As few of these answers as say the same.
    fn shortened(&mut self, tree: &Tree, opens: bool, answers: &[(Group, bool)]) -> Option<Case> {
        for (group, answer) in answers {
            self.known[*group] = Some(*answer);
        }
        for dropped in [false, true] {
            for (group, _) in answers.iter().filter(|(_, answer)| *answer == dropped) {
                self.known[*group] = None;
                if !self.is_all(tree, opens)? {
                    self.known[*group] = Some(dropped);
                }
            }
        }
        self.budget.spend(answers.len())?;
        let mut case = Case { members_of: Vec::new(), not_members_of: Vec::new() };
        for (group, _) in answers {
            match self.known[*group].take() {
                Some(true) => case.members_of.push(*group),
                Some(false) => case.not_members_of.push(*group),
                None => {}
            }
        }
        case.members_of.sort_unstable();
        case.not_members_of.sort_unstable();
        Some(case)
    }
}

impl Case {
    /// Whether all that the other one asks is asked here, too.
    fn is_within(&self, other: &Self) -> bool {
        let all = |few: &[Group], many: &[Group]| few.iter().all(|group| many.binary_search(group).is_ok());
        all(&other.members_of, &self.members_of) && all(&other.not_members_of, &self.not_members_of)
    }
}
