//! The stamp of the storm's guests: it is replaced and nothing else, and what a shipped component does not carry goes.

use midplane_storm::stamp::{Condition, stamped, stripped};

/// LEB128, unsigned.
fn put_number(out: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[test]
fn a_stamp_is_replaced_and_nothing_else() {
    let before = b"left storm-stamp:GOOD:0000000000000000 right";
    let after = stamped(before, Condition::Sick, 4_711).unwrap();
    assert_eq!(after, b"left storm-stamp:SICK:0000000000004711 right");
}

#[test]
fn none_and_two_stamps_are_errors() {
    assert!(stamped(b"nothing", Condition::Good, 1).is_err());
    let one = b"storm-stamp:GOOD:0000000000000000".to_vec();
    assert!(stamped(&one.repeat(2), Condition::Good, 1).is_err());
    assert!(stamped(&one[..20], Condition::Good, 1).is_err());
}

#[test]
fn names_and_debug_information_go_at_every_depth() {
    let section = |id: u8, payload: &[u8]| {
        let mut bytes = vec![id];
        put_number(&mut bytes, payload.len());
        bytes.extend_from_slice(payload);
        bytes
    };
    let custom = |name: &str, rest: &[u8]| {
        let mut payload = vec![u8::try_from(name.len()).unwrap()];
        payload.extend_from_slice(name.as_bytes());
        payload.extend_from_slice(rest);
        section(0, &payload)
    };
    let file = |head: &[u8], sections: &[Vec<u8>]| [head.to_vec(), sections.concat()].concat();
    let code = section(10, &[7; 300]);
    let kept = custom("kept", b"1");
    let dropped = [custom("name", b"2"), custom(".debug_line", &[3; 200])].concat();
    let core = b"\0asm\x01\0\0\0";
    let component = b"\0asm\x0d\0\x01\0";
    let module = |sections: &[Vec<u8>]| section(1, &file(core, sections));
    let before = file(
        component,
        &[module(&[dropped.clone(), code.clone()]), kept.clone(), dropped],
    );
    let after = file(component, &[module(&[code]), kept]);
    assert_eq!(stripped(&before).unwrap(), after);
    assert!(stripped(&before[..before.len() - 1]).is_err());
    assert!(stripped(b"text").is_err());
}
