//! What people do to a repository, one thing at a time: pure.
//!
//! An edit picks what it changes by numbers that are taken modulo what is there. So any list of edits
//! can be applied to any world, also one that was made shorter in the search for the smallest failure.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::world::{Member, Script, World, aspect};

/// One change. The first number picks a crate, the second something in it.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Only a file that nothing is made from.
    Readme,
    Value(u8),
    Module(u8, u8),
    AddModule(u8),
    DeleteModule(u8, u8),
    RenameModule(u8, u8),
    /// The contents of two modules of the same size change places.
    SwapModules(u8),
    Text(u8),
    Part(u8),
    Template(u8),
    /// Files that a build script lists.
    ChangeListed(u8, u8),
    AddListed(u8),
    DeleteListed(u8, u8),
    RenameListed(u8, u8),
    /// Another build script, or none.
    Script(u8, u8),
    /// Something more, or less, in a crate.
    Aspect(u8, u8),
    /// A dependency comes or goes.
    Depend(u8, u8),
    /// A dependency's feature goes on or off.
    Feature(u8, u8),
    Bump(u8),
    Profile,
    Number,
    LeafBump,
    /// cargo's configuration.
    Setting,
    /// A vendored crate, changed in place: its version stays.
    LeafInPlace,
    AddMember(u8),
    RemoveMember(u8),
    RenameMember(u8),
    MoveMember(u8),
    /// Two members change their directories, one taking the other's place.
    SwapMembers(u8, u8),
}

/// Any edit; those that are common in life are common here.
pub(super) fn edit() -> impl Strategy<Value = Edit> {
    let one = any::<u8>;
    let two = || (any::<u8>(), any::<u8>());
    prop_oneof![
        1 => Just(Edit::Readme),
        4 => one().prop_map(Edit::Value),
        3 => two().prop_map(|(m, i)| Edit::Module(m, i)),
        1 => one().prop_map(Edit::AddModule),
        1 => two().prop_map(|(m, i)| Edit::DeleteModule(m, i)),
        1 => two().prop_map(|(m, i)| Edit::RenameModule(m, i)),
        2 => one().prop_map(Edit::SwapModules),
        2 => one().prop_map(Edit::Text),
        2 => one().prop_map(Edit::Part),
        3 => one().prop_map(Edit::Template),
        2 => two().prop_map(|(m, i)| Edit::ChangeListed(m, i)),
        2 => one().prop_map(Edit::AddListed),
        3 => two().prop_map(|(m, i)| Edit::DeleteListed(m, i)),
        2 => two().prop_map(|(m, i)| Edit::RenameListed(m, i)),
        2 => two().prop_map(|(m, i)| Edit::Script(m, i)),
        2 => two().prop_map(|(m, i)| Edit::Aspect(m, i)),
        1 => two().prop_map(|(m, i)| Edit::Depend(m, i)),
        2 => two().prop_map(|(m, i)| Edit::Feature(m, i)),
        2 => one().prop_map(Edit::Bump),
        2 => Just(Edit::Profile),
        2 => Just(Edit::Number),
        2 => Just(Edit::Setting),
        1 => Just(Edit::LeafBump),
        2 => Just(Edit::LeafInPlace),
        1 => one().prop_map(Edit::AddMember),
        1 => one().prop_map(Edit::RemoveMember),
        1 => one().prop_map(Edit::RenameMember),
        2 => one().prop_map(Edit::MoveMember),
        1 => two().prop_map(|(m, i)| Edit::SwapMembers(m, i)),
    ]
}

/// Numbers and names that were not there before. Numbers have one width, so that an edit changes a
/// file's size only where it means to.
#[derive(Clone, Debug)]
pub(super) struct Supply(u32);

impl Supply {
    pub(super) fn new() -> Self {
        Self(1000)
    }

    pub(super) fn number(&mut self) -> u32 {
        self.0 += 1;
        assert!(self.0 < 10_000, "numbers would get longer");
        self.0
    }

    fn name(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.number())
    }
}

/// What a world begins as: two to four members, of all kinds, beside the macro.
pub(super) fn genesis() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 2..=4)
}

/// Makes a world of kinds of build scripts, aspects and dependencies.
pub(super) fn create(seeds: &[(u8, u8, u8)], supply: &mut Supply) -> World {
    let mut side = World::plain_member("side", supply.number());
    side.dir = "../side".to_owned();
    side.aspects = aspect::TEXT | aspect::WORD | aspect::DIR;
    let mut world = World {
        side,
        members: Vec::new(),
        number: supply.number(),
        leaf: (0, supply.number()),
        checks: true,
        readme: supply.number(),
        setting: supply.number(),
    };
    for (at, (script, aspects, deps)) in seeds.iter().enumerate() {
        let mut member =
            World::plain_member(["alpha", "beta", "gamma", "delta"][at], supply.number());
        member.script = Script::ALL[usize::from(*script) % Script::ALL.len()];
        member.aspects = *aspects;
        for (bit, earlier) in world.members.iter().enumerate() {
            // Most use the one before, so that there are long ways for a change to go.
            if deps & (1 << bit) != 0 || bit + 1 == at {
                member
                    .deps
                    .insert(earlier.name.clone(), deps & (16 << bit) != 0);
            }
        }
        if at == 0 || deps & 128 != 0 {
            member.deps.insert("side".to_owned(), deps & 64 != 0);
        }
        member.is_program = at + 1 == seeds.len();
        world.members.push(member);
    }
    world
}

/// Applies one edit. One that makes no sense here changes a value.
pub(super) fn apply(edit: &Edit, world: &mut World, supply: &mut Supply) {
    match edit {
        Edit::Readme => world.readme = supply.number(),
        Edit::Profile => world.checks = !world.checks,
        Edit::Number => world.number = supply.number(),
        Edit::LeafBump => world.leaf = (world.leaf.0 + 1, supply.number()),
        Edit::Setting => world.setting = supply.number(),
        Edit::LeafInPlace => world.leaf.1 = supply.number(),
        Edit::AddMember(m) => add_member(world, *m, supply),
        Edit::RemoveMember(m) => remove_member(world, *m),
        Edit::RenameMember(m) => rename_member(world, *m, supply),
        Edit::SwapMembers(m, other) => {
            let count = world.members.len();
            let (a, b) = (usize::from(*m) % count, usize::from(*other) % count);
            let dir = world.members[a].dir.clone();
            world.members[a].dir = std::mem::replace(&mut world.members[b].dir, dir);
        }
        Edit::Depend(m, d) => depend(world, *m, *d),
        _ => of_member(edit, world, supply),
    }
}

/// Any crate, the one outside of the workspace included.
fn pick(world: &mut World, m: u8) -> &mut Member {
    let at = usize::from(m) % (world.members.len() + 1);
    world.members.get_mut(at).unwrap_or(&mut world.side)
}

fn key(map: &BTreeMap<String, u32>, i: u8) -> String {
    map.keys().nth(usize::from(i) % map.len()).unwrap().clone()
}

/// A crate with a build script that lists files, if there is one.
fn listing(world: &mut World, m: u8) -> &mut Member {
    let lists = |member: &Member| matches!(member.script, Script::Silent | Script::Lists);
    let found: Vec<usize> = (0..world.members.len())
        .filter(|at| lists(&world.members[*at]))
        .collect();
    match found.get(usize::from(m) % found.len().max(1)) {
        Some(at) => &mut world.members[*at],
        None => pick(world, m),
    }
}

fn of_member(edit: &Edit, world: &mut World, supply: &mut Supply) {
    match edit {
        Edit::Module(m, i) => {
            let modules = &mut pick(world, *m).modules;
            modules.insert(key(modules, *i), supply.number());
        }
        Edit::AddModule(m) => {
            let modules = &mut pick(world, *m).modules;
            modules.insert(supply.name("m"), supply.number());
        }
        Edit::DeleteModule(m, i) => {
            let modules = &mut pick(world, *m).modules;
            if modules.len() > 1 {
                modules.remove(&key(modules, *i));
            }
        }
        Edit::RenameModule(m, i) => {
            let modules = &mut pick(world, *m).modules;
            let value = modules.remove(&key(modules, *i)).unwrap();
            modules.insert(supply.name("r"), value);
        }
        Edit::SwapModules(m) => {
            let modules = &mut pick(world, *m).modules;
            let values: Vec<u32> = modules.values().rev().copied().collect();
            modules
                .values_mut()
                .zip(values)
                .for_each(|(slot, value)| *slot = value);
        }
        Edit::Text(m) => with_aspect(pick(world, *m), aspect::TEXT).text = supply.number(),
        Edit::Part(m) => with_aspect(pick(world, *m), aspect::PART).part = supply.number(),
        Edit::Template(m) => pick(world, *m).template = supply.number(),
        Edit::ChangeListed(m, i) => {
            let parts = &mut listing(world, *m).parts;
            parts.insert(key(parts, *i), supply.number());
        }
        Edit::AddListed(m) => {
            let parts = &mut listing(world, *m).parts;
            parts.insert(supply.name("a"), supply.number());
        }
        Edit::DeleteListed(m, i) => {
            let parts = &mut listing(world, *m).parts;
            if parts.len() > 1 {
                parts.remove(&key(parts, *i));
            }
        }
        Edit::RenameListed(m, i) => {
            let parts = &mut listing(world, *m).parts;
            let value = parts.remove(&key(parts, *i)).unwrap();
            parts.insert(supply.name("n"), value);
        }
        Edit::Script(m, kind) => {
            pick(world, *m).script = Script::ALL[usize::from(*kind) % Script::ALL.len()];
        }
        Edit::Aspect(m, bit) => pick(world, *m).aspects ^= 1 << (bit % 8),
        Edit::Feature(m, d) => {
            let deps = &mut pick(world, *m).deps;
            let at = usize::from(*d) % deps.len().max(1);
            if let Some(fancy) = deps.values_mut().nth(at) {
                *fancy = !*fancy;
            }
        }
        Edit::Bump(m) => pick(world, *m).patch += 1,
        Edit::MoveMember(m) => {
            let at = usize::from(*m) % world.members.len();
            let member = &mut world.members[at];
            member.dir = match member.dir.strip_prefix("group/") {
                Some(dir) => dir.to_owned(),
                None => format!("group/{}", member.dir),
            };
        }
        Edit::Value(m) => pick(world, *m).value = supply.number(),
        _ => world.readme = supply.number(),
    }
    // The crate outside of the workspace is the host's and the target's: it uses nothing.
    world.side.aspects &= aspect::TEXT | aspect::PART | aspect::WORD | aspect::DIR;
}

fn with_aspect(member: &mut Member, aspect: u8) -> &mut Member {
    member.aspects |= aspect;
    member
}

fn add_member(world: &mut World, m: u8, supply: &mut Supply) {
    if world.members.len() > 5 {
        return;
    }
    let at = usize::from(m) % world.members.len();
    let mut member = World::plain_member(&supply.name("new"), supply.number());
    member.aspects = m;
    member.script = Script::ALL[usize::from(m / 8) % Script::ALL.len()];
    let user = world.members.len() - 1;
    world.members[user].deps.insert(member.name.clone(), false);
    world.members.insert(at, member);
}

fn remove_member(world: &mut World, m: u8) {
    if world.members.len() < 3 {
        return;
    }
    // The last one is the program.
    let at = usize::from(m) % (world.members.len() - 1);
    let gone = world.members.remove(at).name;
    for member in &mut world.members {
        member.deps.remove(&gone);
    }
    // What nothing uses would not be built.
    world.members[0]
        .deps
        .entry("side".to_owned())
        .or_insert(false);
}

fn rename_member(world: &mut World, m: u8, supply: &mut Supply) {
    let at = usize::from(m) % world.members.len();
    let name = supply.name("named");
    let old = std::mem::replace(&mut world.members[at].name, name.clone());
    for member in &mut world.members {
        if let Some(fancy) = member.deps.remove(&old) {
            member.deps.insert(name.clone(), fancy);
        }
    }
}

fn depend(world: &mut World, m: u8, d: u8) {
    let at = usize::from(m) % world.members.len();
    let earlier = usize::from(d) % (at + 1);
    let name = match earlier {
        // Instead of itself.
        other if other == at => "side".to_owned(),
        other => world.members[other].name.clone(),
    };
    let is_first = at == 0;
    let deps = &mut world.members[at].deps;
    if deps.remove(&name).is_none() || is_first {
        deps.insert(name, d >= 128);
    }
}
