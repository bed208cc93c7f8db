#!/usr/bin/env python3
"""The workbook of UCI's Online Retail data sets as a table for Accrue, with Python's standard library alone.

    python3 convert.py online+retail+ii.zip > retail.tsv            all sheets, in order
    python3 convert.py online_retail_II.xlsx --sheet 1 > year1.tsv  one sheet, from 1
    python3 convert.py online_retail_II.csv > retail.tsv            the same as CSV

Columns: invoice, stock_code, description, quantity, ts, price, customer_id, country. Nothing is left out or changed save
the form of numbers and times, and invoices that an earlier sheet had: the two sheets of Online Retail II share the first
days of December 2010. What is a product and what a return is said by mapping.toml.
"""

import argparse
import csv
import datetime
import io
import re
import sys
import zipfile
from xml.etree import ElementTree

# The names in the two editions of the data set, in letters alone.
COLUMNS = {
    "invoice": ("invoice", "invoiceno"),
    "stock_code": ("stockcode",),
    "description": ("description",),
    "quantity": ("quantity",),
    "ts": ("invoicedate",),
    "price": ("price", "unitprice"),
    "customer_id": ("customerid",),
    "country": ("country",),
}
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
EPOCH = datetime.datetime(1899, 12, 30)  # day 0 of Excel's calendar


def shared_texts(book):
    """The texts that cells refer to by number."""
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    texts = []
    with book.open("xl/sharedStrings.xml") as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag == MAIN + "si":
                texts.append("".join(text.text or "" for text in element.iter(MAIN + "t")))
                element.clear()
    return texts


def sheet_paths(book):
    """The files of the sheets, in the order of the workbook."""
    relations = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    targets = {relation.get("Id"): relation.get("Target") for relation in relations}
    sheets = ElementTree.fromstring(book.read("xl/workbook.xml")).iter(MAIN + "sheet")
    paths = [targets[sheet.get(RELATION)] for sheet in sheets]
    return [path.lstrip("/") if path.startswith("/") else "xl/" + path for path in paths]


def column_index(reference):
    """The number of a cell's column, from 0: `C7` is 2."""
    index = 0
    for letter in reference:
        if not letter.isalpha():
            break
        index = index * 26 + ord(letter.upper()) - ord("A") + 1
    return index - 1


def cell_value(cell, texts):
    kind, value = cell.get("t"), cell.find(MAIN + "v")
    if kind == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(MAIN + "t"))
    if value is None or value.text is None:
        return ""
    return texts[int(value.text)] if kind == "s" else value.text


def workbook_rows(file, sheet):
    book = zipfile.ZipFile(file)
    texts, paths = shared_texts(book), sheet_paths(book)
    if sheet is not None:
        if not 1 <= sheet <= len(paths):
            sys.exit(f"there is no sheet {sheet}; the workbook has {len(paths)}")
        paths = [paths[sheet - 1]]
    for path in paths:
        with book.open(path) as part:
            rows = []
            for event, element in ElementTree.iterparse(part, events=("start", "end")):
                if event == "start" and element.tag == MAIN + "sheetData":
                    data = element
                if event == "end" and element.tag == MAIN + "row":
                    row = []
                    for cell in element:
                        index = column_index(cell.get("r", "")) if cell.get("r") else len(row)
                        row += [""] * (index - len(row)) + [cell_value(cell, texts)]
                    yield row
                    # Without this the tree of a sheet with half a million rows takes gigabytes.
                    data.clear()


def time_of(text):
    """The time of a serial number, or of a text as Excel and Kaggle write it."""
    if re.fullmatch(r"\d+(\.\d+)?(E[+-]?\d+)?", text):
        seconds = round(float(text) * 86_400)
        return (EPOCH + datetime.timedelta(seconds=seconds)).isoformat()
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"):
        try:
            return datetime.datetime.strptime(text, form).isoformat()
        except ValueError:
            pass
    return text  # Accrue's check names it in the quarantine.


def whole(text):
    """`13085.0` as `13085`: spreadsheets and pandas write whole numbers so."""
    return text[:-2] if re.fullmatch(r"-?\d+\.0", text) else text


def price_of(text):
    """A price without the digits that the binary form adds: `6.9500000000000002` is `6.95`."""
    try:
        return f"{float(text):.10g}"
    except ValueError:
        return text


def table(rows):
    """The rows under our names. Each sheet repeats the header."""
    places, earlier, own, n_again = None, set(), set(), 0
    for row in rows:
        names = [re.sub("[^a-z]", "", cell.lower()) for cell in row]
        if "stockcode" in names:
            places, earlier, own = {}, earlier | own, set()
            for ours, theirs in COLUMNS.items():
                found = [names.index(name) for name in theirs if name in names]
                if not found:
                    sys.exit(f"the header has no column for {ours}: {row}")
                places[ours] = found[0]
            continue
        if places is None:
            sys.exit(f"the first row is no header of this data set: {row}")
        if not any(row):
            continue
        cell = {ours: row[place] if place < len(row) else "" for ours, place in places.items()}
        cell["ts"] = time_of(cell["ts"])
        cell["price"] = price_of(cell["price"])
        for name in ("invoice", "stock_code", "quantity", "customer_id"):
            cell[name] = whole(cell[name])
        if cell["invoice"] in earlier:
            n_again += 1
            continue
        own.add(cell["invoice"])
        yield [re.sub(r"[\t\r\n]+", " ", cell[ours]) for ours in COLUMNS]
    if n_again:
        print(f"{n_again} lines of invoices that an earlier sheet had are left out", file=sys.stderr)


def open_rows(path, sheet):
    if path.lower().endswith(".csv"):
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
            yield from csv.reader(file)
        return
    archive = zipfile.ZipFile(path)
    if "xl/workbook.xml" in archive.namelist():
        yield from workbook_rows(path, sheet)
        return
    inner = [name for name in archive.namelist() if name.lower().endswith(".xlsx")]
    if not inner:
        sys.exit(f"{path} holds no workbook")
    yield from workbook_rows(io.BytesIO(archive.read(inner[0])), sheet)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="the archive as downloaded, the workbook, or a CSV of it")
    parser.add_argument("--sheet", type=int, help="one sheet of the workbook, from 1")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print("\t".join(COLUMNS))
    for row in table(open_rows(arguments.file, arguments.sheet)):
        print("\t".join(row))


if __name__ == "__main__":
    main()
