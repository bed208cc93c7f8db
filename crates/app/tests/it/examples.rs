//! The examples that are programs of their own.

use std::path::Path;
use std::process::Command;

/// The converter of the Online Retail workbook, by its own tests; they need Python alone.
#[test]
fn the_converter_of_a_workbook_passes_its_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/online-retail");
    let Ok(ran) = Command::new("python3").arg("test_convert.py").current_dir(folder).output() else {
        println!("skipped: the_converter_of_a_workbook_passes_its_tests (there is no python3)");
        return;
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// What is converted is what the mapping reads.
#[test]
fn a_converted_invoice_goes_in_by_the_mapping_of_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/online-retail");
    let csv = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n\
               489434,85048,\"LIGHTS, 20\",12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom\n\
               489434,POST,POSTAGE,1,2009-12-01 07:45:00,18.0,13085.0,United Kingdom\n\
               C489449,22087,,-12,2009-12-01 10:33:00,2.95,,Australia\n";
    let file = folder.path().join("retail.csv");
    std::fs::write(&file, csv).unwrap();
    let Ok(converted) = Command::new("python3").arg(example.join("convert.py")).arg(&file).output() else { return };
    assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    std::fs::write(folder.path().join("retail.tsv"), converted.stdout).unwrap();
    let mut ingest = Command::new(env!("CARGO_BIN_EXE_accrue"));
    ingest.args(["ingest", "retail.tsv", "--json", "--mapping"]).arg(example.join("mapping.toml"));
    let out = ingest.current_dir(folder.path()).env_clear().output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&report["accepted"], &report["quarantined"]["not_a_product"]), (&2.into(), &1.into()), "{report}");
}
